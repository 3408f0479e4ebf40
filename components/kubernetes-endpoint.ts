import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  output,
  type Resource,
} from "../provider/pulumi.ts";
import { CustomResource } from "@pulumi/kubernetes/apiextensions/customResource.js";
import { Deployment } from "@pulumi/kubernetes/apps/v1/deployment.js";
import { HorizontalPodAutoscaler } from "@pulumi/kubernetes/autoscaling/v2/horizontalPodAutoscaler.js";
import { Secret } from "@pulumi/kubernetes/core/v1/secret.js";
import { Service } from "@pulumi/kubernetes/core/v1/service.js";
import { Ingress } from "@pulumi/kubernetes/networking/v1/ingress.js";
import { PodDisruptionBudget } from "@pulumi/kubernetes/policy/v1/podDisruptionBudget.js";
import {
  endpointAutoscaler,
  endpointDeployment,
  endpointDisruptionBudget,
  endpointIngress,
  type EndpointParts,
  endpointRoute,
  endpointService,
  isScaled,
} from "../recipe/kubernetes/endpoint.ts";
import { isScaledByKeda, queueAuthentication, queueScaler, queueSecret } from "../recipe/kubernetes/keda.ts";
import type { PodTemplate, PodTransform } from "./kubernetes-training.ts";

/** Arguments of KubernetesEndpoint. */
export interface KubernetesEndpointArgs extends Omit<EndpointParts, "revision"> {
  /** Changes where the Pods have to be others; output of ChatEndpoint. */
  readonly revision: Input<string>;
  /** The endpoint's key, which KEDA asks the gateways with; output of ChatEndpoint. */
  readonly apiKey: Input<string>;
  /** What comes first: the endpoint's declaration, and the training, whose card it may need. */
  readonly after: readonly Resource[];
  readonly transform?: PodTransform;
}

/**
 * The Pods that serve an endpoint, a name for them in the cluster, and, where the experiment says so, their way out (Ingress or HTTPRoute)
 * and their autoscaler. `up` waits until they answer.
 */
export class KubernetesEndpoint extends ComponentResource {
  constructor(name: string, args: KubernetesEndpointArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:KubernetesEndpoint", name, {}, options);
    const { revision, apiKey, after: first, transform = (template: PodTemplate) => template, ...parts } = args;
    const { experiment, config } = parts;
    const own = { parent: this };
    const deployed = output(revision).apply((told) => {
      const { metadata, spec } = endpointDeployment({ ...parts, revision: told });
      return { metadata, spec: { ...spec, template: transform(spec.template) } };
    });
    const deployment = new Deployment(
      name,
      { metadata: deployed.metadata, spec: deployed.spec },
      { ...own, dependsOn: [...first] },
    );
    const after = { parent: this, dependsOn: [deployment] };
    new Service(name, endpointService(experiment, config), after);
    new PodDisruptionBudget(name, endpointDisruptionBudget(experiment, config), own);
    if (isScaledByKeda(config)) followByKeda(name, parts, apiKey, after);
    else if (isScaled(config)) new HorizontalPodAutoscaler(name, endpointAutoscaler(experiment, config), after);
    this.#open(name, experiment, config, after);
    this.registerOutputs({});
  }

  #open(name: string, experiment: string, config: EndpointParts["config"], after: { parent: Resource }): void {
    const ingress = endpointIngress(experiment, config);
    if (ingress !== undefined) new Ingress(name, ingress, after);
    const route = endpointRoute(experiment, config);
    if (route !== undefined) new CustomResource(name, route, after);
  }
}

/** KEDA's part: the key for it, where it finds that, and what it follows. */
function followByKeda(
  name: string,
  { experiment, config, tls }: Omit<EndpointParts, "revision">,
  apiKey: Input<string>,
  options: { parent: Resource },
): void {
  const queue = `${name}-queue`;
  const token = output(apiKey).apply((key) => Buffer.from(key).toString("base64"));
  const secret = new Secret(queue, queueSecret(experiment, config, token), options);
  const after = { ...options, dependsOn: [secret] };
  const authentication = new CustomResource(queue, queueAuthentication(experiment, config), after);
  new CustomResource(`${queue}-scaler`, queueScaler(experiment, config, tls), {
    ...options,
    dependsOn: [authentication],
  });
}
