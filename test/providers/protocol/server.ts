import { type handleUnaryCall, Metadata, Server, ServerCredentials, status as codes } from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages, {
  type CheckRequest,
  type ConfigureRequest,
  type CreateRequest,
  type DeleteRequest,
  type DiffRequest,
  type DiffResponse,
  type InvokeRequest,
  type PropertyDiff,
  type ReadRequest,
  type UpdateRequest,
} from "@pulumi/pulumi/proto/provider_pb.js";
import statuses from "@pulumi/pulumi/proto/status_pb.js";
import any from "google-protobuf/google/protobuf/any_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { asFault } from "../../../recipe/fault.ts";
import { toWire, type Wire } from "../../../provider/values.ts";
import { bagOf, type Diff, type Difference, NotReady, type Provider, type State } from "./provider.ts";

/** A served provider. */
export interface Served {
  readonly port: number;
  /** Ends it at once. */
  close(): void;
}

/**
 * Serves the provider to the engine on a free port of loopback. Pulumi's own provider framework hands a provider no configuration, no
 * timeouts and no former inputs, which this one lives on: hence the service itself.
 */
export async function serve(provider: Provider): Promise<Served> {
  const mebibyte = 1024 * 1024;
  const server = new Server({ "grpc.max_receive_message_length": 400 * mebibyte });
  server.addService(ResourceProviderService, { ...configuration(provider), ...resources(provider) });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port, close: () => server.forceShutdown() };
}

function configuration(provider: Provider) {
  return {
    getPluginInfo: answering(() => {
      const info = new plugin.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    getSchema: answering(() => new messages.GetSchemaResponse().setSchema("{}")),
    attach: answering(() => new empty.Empty()),
    cancel: answering(() => {
      provider.cancel();
      return new empty.Empty();
    }),
    checkConfig: answering((request: CheckRequest) => new messages.CheckResponse().setInputs(request.getNews())),
    diffConfig: answering((request: DiffRequest) => {
      const { changed, replaces } = provider.diffConfig(read(request.getOldInputs()), read(request.getNews()));
      const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
      const response = new messages.DiffResponse().setChanges(changed.length === 0 ? DIFF_NONE : DIFF_SOME);
      return response.setDiffsList([...changed]).setReplacesList(replaces ? [...changed] : []);
    }),
    configure: answering((request: ConfigureRequest) => {
      provider.configure(read(request.getArgs()));
      // No preview of creates and updates: the engine then takes inputs for outputs, and leaves the rest unknown.
      return new messages.ConfigureResponse().setAcceptsecrets(true);
    }),
  };
}

function resources(provider: Provider) {
  return {
    check: answering(async (request: CheckRequest) => {
      const [olds, news] = [read(request.getOlds()), read(request.getNews())];
      const inputs = await provider.check(request.getUrn(), olds, news, request.getRandomseed_asU8());
      return new messages.CheckResponse().setInputs(struct.Struct.fromJavaScript(plain(inputs)));
    }),
    diff: answering((request: DiffRequest) =>
      diffResponse(provider.diff(read(request.getOldInputs()), read(request.getNews()), request.getUrn())),
    ),
    create: answering(async (request: CreateRequest) => {
      const state = await provider.create(request.getUrn(), read(request.getProperties()), request.getTimeout());
      return new messages.CreateResponse()
        .setId(state.id)
        .setProperties(struct.Struct.fromJavaScript(plain(state.outputs)));
    }),
    update: answering(async (request: UpdateRequest) => {
      const [olds, news] = [read(request.getOlds()), read(request.getNews())];
      const state = await provider.update(request.getUrn(), olds, news, request.getTimeout(), request.getId());
      return new messages.UpdateResponse().setProperties(struct.Struct.fromJavaScript(plain(state.outputs)));
    }),
    read: answering(async (request: ReadRequest) => {
      const [olds, inputs] = [read(request.getProperties()), read(request.getInputs())];
      const state = await provider.read(request.getUrn(), request.getId(), olds, inputs);
      const response = new messages.ReadResponse();
      if (state === undefined) return response;
      response.setId(state.id).setProperties(struct.Struct.fromJavaScript(plain(state.outputs)));
      return response.setInputs(struct.Struct.fromJavaScript(plain(state.inputs)));
    }),
    delete: answering(async (request: DeleteRequest) => {
      await provider.delete(request.getUrn(), request.getId(), read(request.getOldInputs()), request.getTimeout());
      return new empty.Empty();
    }),
    invoke: answering(async (request: InvokeRequest) => {
      const answer = (await provider.invoke?.(request.getTok(), read(request.getArgs()))) ?? {};
      return new messages.InvokeResponse().setReturn(struct.Struct.fromJavaScript(plain(answer)));
    }),
  };
}

function diffResponse({ differences, deleteBeforeReplace }: Diff): DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  const response = new messages.DiffResponse().setChanges(differences.length === 0 ? DIFF_NONE : DIFF_SOME);
  response.setReplacesList(differences.filter(({ replaces }) => replaces).map(({ path }) => path));
  response.setDeletebeforereplace(deleteBeforeReplace).setHasdetaileddiff(true);
  for (const difference of differences) {
    const one = new messages.PropertyDiff().setKind(kindOf(difference)).setInputdiff(true);
    response.getDetaileddiffMap().set(difference.path, one);
  }
  return response;
}

function kindOf({ kind, replaces }: Difference): PropertyDiff.Kind {
  const kinds = messages.PropertyDiff.Kind;
  if (kind === "add") return replaces ? kinds.ADD_REPLACE : kinds.ADD;
  if (kind === "delete") return replaces ? kinds.DELETE_REPLACE : kinds.DELETE;
  return replaces ? kinds.UPDATE_REPLACE : kinds.UPDATE;
}

/** A call that answers with what `work` gives, or with its fault in a sentence. */
function answering<Q, R>(work: (request: Q) => R | Promise<R>): handleUnaryCall<Q, R> {
  return (call, respond) => {
    // A throw before the first await is a rejection too.
    Promise.resolve(call.request)
      .then(work)
      .then(
        (answer) => respond(null, answer),
        (thrown: unknown) =>
          respond(thrown instanceof NotReady ? halfDone(thrown) : { code: codes.UNKNOWN, ...sentence(thrown) }),
      );
  };
}

function sentence(thrown: unknown): { readonly message: string; readonly details: string } {
  const text = asFault(thrown).sentence;
  return { message: text, details: text };
}

/** The engine keeps the object in state with these reasons, and calls update at the next run. */
function halfDone(thrown: NotReady) {
  const { id, outputs, inputs }: State = thrown.state;
  const detail = new messages.ErrorResourceInitFailed().setId(id).setReasonsList([...thrown.reasons]);
  detail
    .setProperties(struct.Struct.fromJavaScript(plain(outputs)))
    .setInputs(struct.Struct.fromJavaScript(plain(inputs)));
  const packed = new any.Any();
  packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statuses.Status().setCode(codes.UNKNOWN).setMessage(thrown.message).setDetailsList([packed]);
  const metadata = new Metadata();
  // The key under which gRPC carries details.
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code: codes.UNKNOWN, message: thrown.message, details: thrown.message, metadata };
}

function read(given: struct.Struct | undefined): Wire {
  return bagOf(given?.toJavaScript());
}

function plain(bag: Wire): Record<string, struct.JavaScriptValue> {
  return toWire(bag) as Record<string, struct.JavaScriptValue>;
}
