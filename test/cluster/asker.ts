import { imageNames } from "./images.ts";
import { pod } from "./objects.ts";

/** What a Pod that asked an endpoint found. */
export interface Asked {
  /** HTTP statuses by how often they came; 0: no answer. */
  readonly statuses: Readonly<Record<string, number>>;
}

/** Asks for one token, so many times a second, each request on a connection of its own, until /tmp/stop is there. */
const script = `
import collections, json, os, threading, time, urllib.error, urllib.request
url, key, rate = os.environ["URL"], os.environ["KEY"], float(os.environ["RATE"])
body = json.dumps({"model": os.environ["MODEL"], "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}).encode()
headers = {"content-type": "application/json", "authorization": "Bearer " + key}
counts, lock, threads = collections.Counter(), threading.Lock(), []
def ask():
    try: status = urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=100).status
    except urllib.error.HTTPError as error: status = error.code
    except Exception: status = 0
    with lock: counts[status] += 1
while True:
    threads.append(threading.Thread(target=ask)); threads[-1].start()
    if os.path.exists("/tmp/stop"): break
    time.sleep(1 / rate)
for thread in threads: thread.join()
print(json.dumps({"statuses": counts}), flush=True)
`;

/** A Pod that asks an endpoint inside the cluster until it is told to stop; its log is then an `Asked`. */
export function asker(
  name: string,
  asked: { readonly url: string; readonly key: string; readonly model: string; readonly rate: number },
) {
  const made = pod(name, ["python3", "-c", script]);
  const env = Object.entries({ URL: asked.url, KEY: asked.key, MODEL: asked.model, RATE: String(asked.rate) });
  const containers = made.spec.containers.map((container) => ({
    ...container,
    image: imageNames.python,
    env: env.map(([key, value]) => ({ name: key, value })),
  }));
  return { ...made, spec: { ...made.spec, containers } };
}
