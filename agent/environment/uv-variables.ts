/**
 * Settings of pip's that uv does not read (mirror, certificates), and user's uv settings that would change what is installed: those are
 * emptied, which uv takes as unset.
 */
export function uvVariables(from: Readonly<Record<string, string | undefined>> = process.env): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const name of ["UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"]) {
    if (from[name] !== undefined) variables[name] = "";
  }
  const mirror = from["PIP_INDEX_URL"];
  if (mirror && !from["UV_DEFAULT_INDEX"] && !from["UV_INDEX_URL"]) variables["UV_DEFAULT_INDEX"] = mirror;
  const certificates = from["PIP_CERT"] ?? from["REQUESTS_CA_BUNDLE"];
  if (certificates && !from["SSL_CERT_FILE"]) variables["SSL_CERT_FILE"] = certificates;
  return variables;
}
