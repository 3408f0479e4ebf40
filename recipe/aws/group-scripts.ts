/** A machine of a group, as its own scripts know it. */
export interface GroupPlace {
  /** Name of the Auto Scaling group. */
  readonly group: string;
  readonly region: string;
}

/**
 * What a machine asks of AWS before our agent is there, with the keys of its own role and Python's standard library alone, which cloud-init needs too: no
 * image has to have a command line of AWS. Status 0: it was done; 4: what was to be fetched is not there.
 */
export const callScript = `#!/usr/bin/env python3
# aws-call leave REGION GROUP: AWS is to keep no machine in the group any more.
# aws-call fetch REGION BUCKET KEY FILE: an object of S3.
import datetime, hashlib, hmac, json, os, shutil, sys, urllib.error, urllib.parse, urllib.request

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def metadata(path, method="GET", headers={}):
    request = urllib.request.Request(METADATA + path, method=method, headers=headers)
    return DIRECT.open(request, timeout=5).read().decode()


def keys():
    token = metadata("/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    headers = {"X-aws-ec2-metadata-token": token}
    roles = "/latest/meta-data/iam/security-credentials/"
    role = metadata(roles, headers=headers).split("\\n")[0].strip()
    return json.loads(metadata(roles + role, headers=headers))


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed(service, region, method, url, body=b"", kind=None):
    role = keys()
    parts = urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": now, "x-amz-security-token": role["Token"]}
    if kind is not None:
        headers["content-type"] = kind
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\\n" for name in sorted(headers))
    asked = "\\n".join([method, parts.path, parts.query, lines, names, digest])
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = "\\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()])
    key = mac(mac(mac(mac(("AWS4" + role["SecretAccessKey"]).encode(), now[:8]), region), service), "aws4_request")
    proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={role['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={proof}"
    request = urllib.request.Request(url, data=body if method == "POST" else None, method=method, headers=headers)
    return urllib.request.urlopen(request, timeout=60)


def base(service, region):
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return os.environ.get("AWS_ENDPOINT_URL", f"https://{service}.{region}.{suffix}").rstrip("/")


def leave(region, group):
    asked = {"Action": "SetDesiredCapacity", "Version": "2011-01-01", "AutoScalingGroupName": group, "DesiredCapacity": 0}
    body = urllib.parse.urlencode(asked).encode()
    form = "application/x-www-form-urlencoded; charset=utf-8"
    signed("autoscaling", region, "POST", base("autoscaling", region) + "/", body, form).read()


def fetch(region, bucket, key, file):
    url = f"{base('s3', region)}/{bucket}/{urllib.parse.quote(key, safe='/-_.~')}"
    try:
        with signed("s3", region, "GET", url) as answer, open(file + ".part", "wb") as out:
            shutil.copyfileobj(answer, out)
    except urllib.error.HTTPError as error:
        # Who may list below a prefix alone is told 403 of what is not there.
        if error.code != 403 or listed(region, bucket, key):
            raise
        sys.exit(4)
    os.replace(file + ".part", file)


def listed(region, bucket, key):
    query = "list-type=2&max-keys=1&prefix=" + urllib.parse.quote(key, safe="-_.~")
    return b"<Key>" in signed("s3", region, "GET", f"{base('s3', region)}/{bucket}/?{query}").read()


try:
    {"leave": leave, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
except urllib.error.HTTPError as error:
    said = error.read().decode("utf-8", "replace")[:300]
    print(f"tuneup: AWS refuses {sys.argv[1]}: HTTP {error.code} {said}", file=sys.stderr)
    sys.exit(4 if error.code == 404 and "NoSuchKey" in said else 1)
except Exception as error:
    print(f"tuneup: AWS does not answer {sys.argv[1]}: {error}", file=sys.stderr)
    sys.exit(1)
`;

/**
 * Ends a machine of a group: the group is told first, or AWS would start another. Where it can't be told, the machine stays and is asked again by its timer;
 * at the end of the lease it goes all the same: the schedule outside tells the group, and a machine that comes instead finds its lease over.
 */
export function endScript({ group, region }: GroupPlace): string {
  return `#!/bin/sh
# end-machine [now]: with now, whether the group could be told or not.
if ! "$(dirname "$0")/aws-call" leave ${region} ${group}; then
  echo "tuneup: the group of this machine could not be told that it ends."
  [ "\${1-}" = now ] || exit 1
fi
systemctl poweroff
`;
}

/** The same script for a machine of a group: it powers off by `end-machine`. */
export function inGroup(script: string, words = ""): string {
  return script.replaceAll("systemctl poweroff", `"$(dirname "$0")/end-machine"${words}`);
}

/** What a machine that took another's place goes on by, and where that is. */
export interface ResumeStart {
  readonly region: string;
  /** s3:// address of a folder, with a slash at its end (`resumeAddress`). */
  readonly address: string;
  /** The data directory. */
  readonly mountPoint: string;
  /** Who owns that, and whose agent it is. */
  readonly user: string;
}

/** Fetches the plan that the machine before left, the programs that it names, and starts the agent by it. Without a plan this machine is the first. */
export function resumeScript({ region, address, mountPoint, user }: ResumeStart): string {
  const [, bucket = "", prefix = ""] = /^s3:\/\/([^/]+)\/(.*)$/.exec(address) ?? [];
  return `#!/bin/sh
# resume: what the machine before was told is told to this one.
set -eu
here=$(dirname "$0")
data=${mountPoint}
work=$data/resume
fetch() { "$here/aws-call" fetch ${region} ${bucket} "${prefix}$1" "$2"; }
tries=0
while :; do
  found=0
  fetch plan.json "$work/plan.json" || found=$?
  [ $found -ne 4 ] || { echo "tuneup: this machine is the first."; exit 0; }
  [ $found -ne 0 ] || break
  tries=$((tries + 1))
  [ $tries -lt 5 ] || { echo "tuneup: this machine can't go on by itself: its plan could not be fetched."; exit 1; }
  sleep $((tries * 5))
done
value() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' "$work/plan.json" "$1" "$2"; }
is() { [ "$(sha256sum "$1" | cut -c 1-64)" = "$2" ] || { echo "tuneup: $1 is not what the plan says."; exit 1; }; }
sum=$(value agent sha256)
agent=$data/agent/$(printf %.12s "$sum")/agent.mjs
node=$data/tools/node-24/bin/node
mkdir -p "$(dirname "$agent")" "$(dirname "$node")"
fetch "$(value agent object)" "$agent"
is "$agent" "$sum"
fetch "$(value node object)" "$node.gz"
gzip -dc "$node.gz" >"$node.new"
rm "$node.gz"
is "$node.new" "$(value node sha256)"
chmod 700 "$node.new"
mv "$node.new" "$node"
chown -R ${user}: "$data"
echo "tuneup: this machine took another's place, and goes on by what that one was told."
exec runuser -u ${user} -- env HOME="\${TUNEUP_RESUME_HOME:-/home/${user}}" "$node" "$agent" resume --data-directory "$data" --plan "$work/plan.json"
`;
}

/** Does that once, at the first start. What it started stays when it is done. */
export function resumeUnit(folder: string): string {
  return `[Unit]
Description=Goes on with what the machine before was told
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
KillMode=process
TimeoutStartSec=infinity
ExecStart=${folder}/resume
StandardOutput=journal+console
StandardError=journal+console
`;
}
