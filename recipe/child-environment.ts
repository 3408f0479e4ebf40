import { mirrorVariables } from "./mirrors.ts";

/** Variables that child processes may see; everything else, secrets of the caller included, stays out. */
const allowed = [
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|TZ|TMPDIR|TERM)$/,
  /^LC_/,
  /^XDG_/,
  /^TUNEUP_[A-Z_]+$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|PIP_CERT)$/,
  /^(https?|no|all)_proxy$/i,
  /^(PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|PIP_FIND_LINKS|UV_[A-Z_]+)$/,
  /^(HF_ENDPOINT|HF_HUB_[A-Z_]+|MODELSCOPE_[A-Z_]+)$/,
  /^AWS_EC2_METADATA_SERVICE_ENDPOINT$/,
  /^(CUDA_VISIBLE_DEVICES|LD_LIBRARY_PATH|NVIDIA_[A-Z_]+|OMP_[A-Z_]+|GOMP_[A-Z_]+|MKL_[A-Z_]+)$/,
];

const denied = /TOKEN|PASSWORD|PASSPHRASE|SECRET|CREDENTIAL/i;

/**
 * The allow-listed part of `environment`, the mirrors that its TUNEUP_MIRRORS names, and `extra`: what every child
 * process gets (never the whole). Throws Fault `mirrors-unknown`.
 */
export function allowedEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const inherited = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && allowed.some((pattern) => pattern.test(entry[0])) && !denied.test(entry[0]),
  );
  return { ...mirrorVariables(environment), ...Object.fromEntries(inherited), ...extra };
}

/** Variables of ours that hold on the host as well: addresses of mirrors and times, never what is of this machine alone. */
const travelling =
  /^(TUNEUP_(MIRRORS|RUN_\w+|ENGINE_\w+|GATEWAY_\w+)|HF_ENDPOINT|MODELSCOPE_(DOMAIN|ENDPOINT)|UV_DEFAULT_INDEX|UV_INDEX_URL|UV_PYTHON_INSTALL_MIRROR)$/;

/** Those of `environment` that an agent on another machine needs to have. An address among them may hold a password. */
export function travellingPart(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const ours = Object.entries(allowedEnvironment(environment));
  return Object.fromEntries(ours.filter(([name]) => travelling.test(name)));
}
