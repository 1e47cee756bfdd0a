import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);

/** Slow on purpose and the same for the same name: PBKDF2 with 200,000 rounds, some 100 ms of a core. */
export const computeFingerprint = async (name: string) => ({
  name,
  fingerprint: (await derive(name, 'bimetal', 200_000, 16, 'sha256')).toString('hex'),
});
