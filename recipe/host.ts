import { z } from "zod";

/** Another machine that OpenSSH reaches. */
export const sshHostSpec = z.object({
  kind: z.literal("ssh"),
  /** Absolute, or `~/...` for a folder of the user's home there. */
  dataDirectory: z.string().regex(/^(\/|~\/)/),
  /** Any name that `ssh <address>` takes. */
  address: z.string().regex(/^[^-\s]\S*$/),
  /** Default of these: what the user's ssh config says. */
  user: z.string().optional(),
  port: z.int().optional(),
  /** Path of the private key on this machine. */
  identity: z.string().optional(),
  /** As `ssh -J` takes it. */
  jump: z.string().optional(),
  /** What the host needs is pushed from this machine, whether it reaches the hubs or not. Default: only where it does not. */
  offline: z.boolean().optional(),
});
export type SshHostSpec = z.infer<typeof sshHostSpec>;

/** A machine that the agent runs on, as targets yield it and every resource takes it. More kinds come with their targets. */
export const hostSpec = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("local"),
    /** Absolute path of the data directory. */
    dataDirectory: z.string().startsWith("/"),
  }),
  sshHostSpec,
  z.object({
    kind: z.literal("kubernetes"),
    dataDirectory: z.string().startsWith("/"),
    namespace: z.string(),
  }),
]);
export type HostSpec = z.infer<typeof hostSpec>;

/** What makes a host another one: how it is reached (key, jump host, port) may change, and what runs there goes on. */
export function placeOf(host: HostSpec): string {
  const { kind, dataDirectory } = host;
  const where = kind === "ssh" ? [host.user ?? "", host.address] : kind === "kubernetes" ? [host.namespace] : [];
  return JSON.stringify([kind, ...where, dataDirectory]);
}
