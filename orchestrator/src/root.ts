import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: where package.json and docker-compose.yml are. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** What the orchestrator keeps between commands: runs, build stamps. Never committed. */
export const stateFolder = join(root, '.bimetal');
