import { safeMark } from "../recipe/aws/ends.ts";
import { Fault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { AwsLink } from "./aws-link.ts";
import { isWithoutMachine } from "./aws-faults.ts";
import { awsTiming } from "./aws-timing.ts";
import { RemoteHost } from "./remote-host.ts";
import { quoted } from "./shell-words.ts";

/** The machine of a stack, found each time by its tags. */
export class AwsHost extends RemoteHost {
  readonly #link: AwsLink;

  /** `openAws` is how one is had. */
  constructor(link: AwsLink) {
    super(link, link.dataDirectory);
    this.#link = link;
  }

  /** Leaves the mark that `after-training` of recipe/aws/ends.ts looks for. */
  async noteSafe(run: string): Promise<void> {
    await this.#link.open();
    const mark = quoted(`${this.dataDirectory}/${safeMark}`);
    await this.#link.script(`umask 077
mkdir -p "$(dirname ${mark})" && printf '%s\\n' ${quoted(run)} >${mark} && echo "tuneup end"
`);
  }

  /** Is there a machine that can be asked without waiting for its start? Throws the Faults of aws-faults.ts. */
  async isUp(): Promise<boolean> {
    return (await this.whyDown()) === undefined;
  }

  /** Why no machine can be asked now, such as `machine-ended` with the reason; undefined where one can. Throws the Faults of aws-faults.ts. */
  async whyDown(): Promise<Fault | undefined> {
    try {
      return (await this.#link.isUp()) ? undefined : machineStarts(this.description);
    } catch (thrown) {
      if (isWithoutMachine(thrown)) return thrown;
      throw thrown;
    }
  }
}

function machineStarts(what: string): Fault {
  return new Fault({
    code: "machine-starting",
    message: `The machine of ${what} starts, or SSM does not know it yet.`,
    next: "Ask again in a minute.",
    blame: "infrastructure",
  });
}

const opened = new Map<string, AwsHost>();

/** The machine of a stack, once for all that ask in this process. Nothing is asked of AWS before the first command. */
export function openAws(spec: AwsHostSpec): AwsHost {
  const { AWS_ENDPOINT_URL: endpoint, AWS_PROFILE: profile } = process.env;
  const key = JSON.stringify([spec, endpoint, profile]);
  const host = opened.get(key) ?? new AwsHost(new AwsLink(spec, homeOf(process.env), awsTiming(process.env)));
  opened.set(key, host);
  return host;
}
