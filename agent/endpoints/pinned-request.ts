import { X509Certificate } from "node:crypto";
import { type ClientRequest, request as httpRequest, type RequestOptions } from "node:http";
import { connect, type TLSSocket } from "node:tls";
import { Fault } from "../../recipe/fault.ts";

/** A handshake that takes longer will not come to an end. */
const handshakeLimit = 15_000;

/**
 * A request over https to the one server that has this certificate (PEM). Neither names nor authorities count: it may be
 * reached by any address, a tunnel's too. Another certificate is a Fault before a byte of the request, its key
 * included, has left.
 */
export function pinnedRequest(url: URL, certificate: string, options: RequestOptions): ClientRequest {
  const wanted = new X509Certificate(certificate).raw;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || 443);
  return httpRequest({
    ...options,
    // With an agent the connection would be the agent's.
    agent: undefined,
    host,
    port,
    path: url.pathname + url.search,
    createConnection: (_, done) => {
      // The handshake proves that the server has the key of the certificate it shows; which one that is, we see to.
      const socket: TLSSocket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
      socket.setTimeout(handshakeLimit, () => socket.destroy(new Error("The TLS handshake did not end in time.")));
      const fail = (thrown: Error): void => done(thrown, socket);
      socket.once("error", fail);
      socket.once("secureConnect", () => {
        socket.off("error", fail);
        socket.setTimeout(0);
        socket.removeAllListeners("timeout");
        if (socket.getPeerX509Certificate()?.raw.equals(wanted) === true) {
          done(null, socket);
          return;
        }
        socket.destroy();
        done(otherCertificate(url.host, socket), socket);
      });
      return undefined;
    },
  });
}

function otherCertificate(address: string, socket: TLSSocket): Fault {
  const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? "none";
  return new Fault({
    code: "certificate-other",
    message: `What answers at ${address} is not this endpoint: it shows another certificate (SHA-256 ${shown}).`,
    next: "Nothing was sent to it. Run `npx tuneup up` if the endpoint was changed elsewhere; else something stands in between.",
    blame: "infrastructure",
  });
}
