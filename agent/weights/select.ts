const wanted = /^[^/]+\.(safetensors|json|jinja|model|tiktoken)$|^(merges|vocab)\.txt$/;
const pickle = /^[^/]+\.(bin|pt|pth|ckpt)$/;

/**
 * The files of a model to take of all that a source lists, as fetch_weights.py takes them: no code, and no pickle but what is allowed by
 * name where there are no safetensors. Else the kind of fault, as in hub-faults.ts.
 */
export function selectWeights<F extends { readonly path: string }>(
  files: readonly F[],
  allowed: readonly string[],
): readonly F[] | "pickle-only" | "no-weights" {
  const taken = files.filter(({ path }) => wanted.test(path));
  const isTensors = ({ path }: F) => path.endsWith(".safetensors");
  if (!taken.some(isTensors)) {
    const named = files.filter(({ path }) => pickle.test(path) && allowed.includes(path));
    if (named.length > 0) return [...taken, ...named];
    return files.some(({ path }) => pickle.test(path)) ? "pickle-only" : "no-weights";
  }
  const whole = taken.some(({ path }) => /^model\.safetensors(\.index\.json)?$/.test(path));
  // Others (consolidated.safetensors) hold the same weights again in another form.
  return whole
    ? taken.filter((file) => !isTensors(file) || /^model(-\d+-of-\d+)?\.safetensors$/.test(file.path))
    : taken;
}
