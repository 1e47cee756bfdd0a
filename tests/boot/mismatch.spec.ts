// A contract that was changed in one language alone: refused at boot where it breaks, let in where it fits. Images hold
// what was built into them, so the planted services are processes.
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { OrchestratorError, type ServiceChange, startPlatform } from '../../orchestrator/src/index.ts';
import { buildCache, buildExample, buildGateway, plantContract } from '../support/planted-contract.ts';

const operations = 'bimetal/cache/v1/operations.proto';
const breaking = [
  '  bool created = 2;\n  // The entry that was',
  '  string created = 2;\n  // The entry that was',
] as const;
const fitting = [
  '  bool return_former = 9;\n',
  '  bool return_former = 9;\n  // Why it is written.\n  string note = 10;\n',
] as const;

const start = (service: string, command: ServiceChange['command']) =>
  startPlatform({
    name: `test-${randomBytes(4).toString('hex')}`,
    driver: 'process',
    ports: 'free',
    quiet: true,
    model: { services: { [service]: command === undefined ? {} : { command } } },
  });

const refusal = async (service: string, command: ServiceChange['command']): Promise<OrchestratorError> => {
  const error = await start(service, command).then(
    async (platform) => {
      await platform.stop();
      return undefined;
    },
    (error: unknown) => error,
  );
  if (error instanceof OrchestratorError) return error;
  throw new Error('it was not refused', { cause: error });
};

test('a gateway whose contract breaks is refused, with the element and the older side', async () => {
  await using planted = await plantContract(operations, ...breaking);
  const error = await refusal('gateway', await buildGateway(planted));
  expect(error).toMatchObject({ code: 'CONTRACT_MISMATCH', exitCode: 6 });
  expect(error.message).toContain('bimetal.cache.v1.PutResponse');
  expect(error.message).toContain('created');
  expect(error.message).toMatch(/older side is .*cache-0/);
}, 180_000);

test('a node whose contract breaks is refused in the same way', async () => {
  // The field has another number: the program compiles, and its peers would not understand it.
  await using planted = await plantContract(operations, breaking[0], breaking[0].replace('created = 2', 'created = 7'));
  const error = await refusal('cache', await buildCache(planted));
  expect(error).toMatchObject({ code: 'CONTRACT_MISMATCH', exitCode: 6 });
  expect(error.message).toContain('field 2 of bimetal.cache.v1.PutResponse');
}, 300_000);

test('a service in TypeScript whose contract breaks is refused in the same way', async () => {
  await using planted = await plantContract(operations, ...breaking);
  const error = await refusal('example', await buildExample(planted));
  expect(error.code).toBe('CONTRACT_MISMATCH');
  expect(error.message).toContain('created');
}, 180_000);

test('a contract that was changed without raising its revision is refused', async () => {
  const { REVISION } = await import('../../contract/ts/index.ts');
  await using planted = await plantContract(operations, ...fitting, REVISION);
  const error = await refusal('example', await buildExample(planted));
  expect(error.message).toMatch(/same revision/);
}, 180_000);

test('a contract that only adds is let in, and the platform says who lacks what', async () => {
  await using planted = await plantContract(operations, ...fitting);
  await using platform = await start('gateway', await buildGateway(planted));
  expect(platform.remarks.join('\n')).toMatch(/cache-0.*older contract, which fits; it lacks .*note/);
  const http = platform.instance('gateway-0').url('http');
  expect((await fetch(`${http}/v1/cache/demo/x`, { method: 'PUT', body: 'x' })).status).toBe(201);
}, 180_000);
