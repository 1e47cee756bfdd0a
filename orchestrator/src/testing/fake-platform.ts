import { fileURLToPath } from 'node:url';
import type { ModelChange, ServiceChange } from '../model/customise.ts';

const command = [process.execPath, fileURLToPath(new URL('./fake-service.ts', import.meta.url))] as const;

/** The model with fakes in place of the native services, and without what needs no test here. */
export const fakeModel = (changes: Readonly<Record<string, ServiceChange>> = {}): ModelChange => ({
  services: {
    cache: { command: [...command], ...changes['cache'] },
    gateway: { command: [...command], ...changes['gateway'] },
    edge: { omit: true },
    example: { omit: true },
  },
});
