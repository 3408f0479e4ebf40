import { createHash } from "node:crypto";
import type { OwnEngine } from "../../recipe/engines.ts";
import type { Variant } from "../../recipe/variants.ts";
import { asset } from "../assets.ts";

/**
 * sha256 (hex) of the lock files: what an environment is, whatever device it is for. Without extras it is that of the
 * two base locks, as before there were any: nothing is installed or trained again. No I/O but reading the package's own files.
 */
export function environmentLock(extras: readonly Variant[] = []): string {
  const hash = createHash("sha256").update(baseLock()).update("\0").update(torchLock());
  for (const name of new Set(extras.toSorted())) hash.update(`\0${name}\0`).update(variantLock(name));
  return hash.digest("hex");
}

/** An engine with an environment of its own. */
export interface EngineSet {
  readonly name: OwnEngine;
  /** Text of its lock, which is too large to be carried by the agent. */
  readonly lock: string;
}

/** sha256 (hex) of an engine's lock: what its environment is. */
export function engineDigest(lock: string): string {
  return createHash("sha256").update(lock).digest("hex");
}

/** Pinned packages with hashes that a variant adds to the base. */
export function variantLock(name: Variant): string {
  return asset(`agent/environment/variants/${name}.lock`);
}

/** Pinned packages with hashes that are the same for every device. */
export function baseLock(): string {
  return asset("agent/environment/base.lock");
}

/** torch and its CUDA libraries as PyPI has them, with hashes. */
export function torchLock(): string {
  return asset("agent/environment/torch.lock");
}

/** `torch==2.13.0` and `torchaudio==2.11.0`: the same pins for the indexes of PyTorch's, whose files have other hashes. */
export function torchPins(): string[] {
  return ["torch", "torchaudio"].map((name) => {
    const pin = new RegExp(`^${name}==([^\\s;+]+)`, "m").exec(torchLock())?.[1];
    if (pin === undefined) throw new Error(`torch.lock does not pin ${name}.`);
    return `${name}==${pin}`;
  });
}

/** Folder name of the environment for a device: `<12 of the lock>-cpu` or `-cuda`. */
export function environmentName(lock: string, device: "cpu" | "cuda"): string {
  return `${lock.slice(0, 12)}-${device}`;
}
