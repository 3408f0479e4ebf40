/**
 * Pulumi's Automation API, as far as the commands use it, without what only a program with functions in its state needs. Every
 * module of cli/ takes it from here, or the first one that doesn't would load all of it.
 */
import "./automation-loading.ts";

export {
  CommandError,
  ConcurrentUpdateError,
  type EngineEvent,
  LocalWorkspace,
  PulumiCommand,
  type Stack,
  StackAlreadyExistsError,
  StackNotFoundError,
} from "@pulumi/pulumi/automation/index.js";
