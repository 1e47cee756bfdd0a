/**
 * The orchestrator as a library: what the command line and the tests use. Start reading at platform/start.ts and
 * model/platform.ts.
 */
export type { DriverKind } from './drivers/driver.ts';
export type { Instance, InstanceState, StopOptions } from './drivers/instance.ts';
export { type FailureCode, failures, OrchestratorError } from './errors.ts';
export { checkContracts } from './identity/check.ts';
export { compareContracts } from './identity/compare.ts';
export { type LoadOptions, type LoadReport, startLoad } from './load/index.ts';
export { type LogFilter, logFilter } from './logs/filter.ts';
export { LogHub } from './logs/hub.ts';
export type { LogRecord } from './logs/record.ts';
export type { ModelChange, ServiceChange } from './model/customise.ts';
export { platform as platformModel } from './model/platform.ts';
export type { PlatformModel, Topology } from './model/types.ts';
export type { Platform } from './platform/platform.ts';
export { type StartOptions, startPlatform } from './platform/start.ts';
export type { RolloutLimits } from './rollout/limits.ts';
export { type RolloutReport, restart, rollOut } from './rollout/rollout.ts';
export { type AttachedInstance, type AttachedPlatform, attachPlatform } from './run/attach.ts';
export { type ScaleReport, scale } from './scale/scale.ts';
