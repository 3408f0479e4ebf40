import { Fault } from "./fault.ts";

/**
 * Our data directory on this machine, absolute and without a trailing slash: TUNEUP_HOME, else `tuneup` below
 * XDG_DATA_HOME, else ~/.local/share/tuneup. Pure: looks at the record alone. Throws Fault where TUNEUP_HOME is not
 * absolute, or nothing says where the user's home is.
 */
export function homeOf(environment: Readonly<Record<string, string | undefined>>): string {
  const { TUNEUP_HOME: chosen, XDG_DATA_HOME: data, HOME: user } = environment;
  if (chosen !== undefined && chosen !== "") {
    if (chosen.startsWith("/")) return chosen.replace(/(?<=.)\/+$/, "");
    throw new Fault({
      code: "home-relative",
      property: "TUNEUP_HOME",
      message: `expected an absolute path, got ${JSON.stringify(chosen)}.`,
      next: "Set it to a folder that starts with /, or unset it for ~/.local/share/tuneup.",
    });
  }
  // The XDG specification: a relative path here is to be ignored.
  if (data?.startsWith("/")) return `${data.replace(/\/+$/, "")}/tuneup`;
  if (user?.startsWith("/")) return `${user.replace(/\/+$/, "")}/.local/share/tuneup`;
  throw new Fault({
    code: "home-unknown",
    message: "Neither TUNEUP_HOME, XDG_DATA_HOME nor HOME says where the data directory is.",
    next: "Set TUNEUP_HOME to an absolute folder.",
  });
}
