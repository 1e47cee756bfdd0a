// The health check of the TypeScript images: `node healthcheck.ts URL` exits with 0 if the URL answers 200.
import { http } from '../process/http.ts';

try {
  const { status } = await http(process.argv[2] ?? '', { timeoutMs: 1500 });
  process.exitCode = status === 200 ? 0 : 1;
} catch {
  process.exitCode = 1;
}
