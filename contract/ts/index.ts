// What TypeScript services share: the generated messages (./gen), the error table with a class per reason, the identity
// of the contract, ownership, and a small client.
export { BimetalError, type ErrorDetails, type FieldViolation } from './bimetal-error.ts';
export { CacheClient } from './client.ts';
export { describeContract } from './describe.ts';
export { fromMilliseconds, toMilliseconds } from './durations.ts';
export { errorOf, fromResult, fromServiceError } from './errors.ts';
export * from './gen/error-classes.ts';
export { errorTable, type Reason } from './gen/error-table.ts';
export { DIGEST, REVISION, readDescriptorSet } from './gen/identity.ts';
export { foreignRequest, isLoopbackAddress } from './origin.ts';
export { ownerOf, weightOf } from './ownership.ts';
export { channelOptions, MAX_MESSAGE_BYTES, type UnaryMethod, type UnaryOptions, unary } from './unary.ts';
