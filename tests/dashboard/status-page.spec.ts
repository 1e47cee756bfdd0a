// The status page in a real Chromium: what a person sees and does. Left out, aloud, where there is no Chromium.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { type ServedRun, serveRun } from '../../orchestrator/src/run/serve-run.ts';
import { eventually } from '../support/eventually.ts';
import { entry } from '../support/http.ts';
import { useStage } from '../support/platform.ts';

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const inChromium = executable === undefined ? describe.skip : describe;
if (executable === undefined)
  console.warn('Left out: there is no Chromium on this machine (Debian: apt-get install chromium).');

/** No sandbox, because tests may run as root; no talk to the outside. */
const flags =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

inChromium('the status page', () => {
  const stage = useStage();
  let run: ServedRun;
  let profile: string;
  let browser: BrowserContext;
  let page: Page;
  const requested: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    run = await serveRun(stage().platform, { statusPort: 0, onStop: () => {} });
    profile = await mkdtemp(join(tmpdir(), 'bimetal-chromium-'));
    browser = await chromium.launchPersistentContext(profile, {
      ...(executable !== undefined && { executablePath: executable }),
      headless: true,
      viewport: { width: 1_200, height: 1_300 },
      args: flags.split(' '),
    });
    page = await browser.newPage();
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(run.statusPage);
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await run?.close();
    if (profile !== undefined) await rm(profile, { recursive: true, force: true });
  });

  const stateOf = (name: string): Promise<string | null> =>
    page.locator(`.card[data-name="${name}"] .state`).textContent();

  test('shows every instance, ready', async () => {
    for (const { name } of stage().platform.instances)
      await eventually(async () => expect(await stateOf(name)).toBe('ready'));
  });

  test('shows the requests of the gateway while they are made', async () => {
    await eventually(async () => {
      await Promise.all(Array.from({ length: 50 }, (_, i) => stage().http.put(entry(`page-${i}`), 'x')));
      const text = await page.locator('.card[data-name="gateway-0"]').textContent();
      expect(text).toMatch(/requests\/s\s*[1-9]/);
    }, 15_000);
  });

  test('shows that a node was paused, and that it is back, without a reload', async () => {
    const node = stage().platform.instance('cache-1');
    await node.pause();
    await eventually(async () => expect(await stateOf('cache-1')).toBe('paused'));
    await node.resume();
    await eventually(async () => expect(await stateOf('cache-1')).toBe('ready'));
  });

  test('shows log lines, and only those that were asked for', async () => {
    await eventually(async () => expect(await page.locator('#logs li').count()).toBeGreaterThan(3));
    await page.locator('#filter select').first().selectOption('cache-0');
    await eventually(async () => {
      const lines = await page.locator('#logs li').allTextContents();
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.filter((line) => !line.includes('cache-0'))).toEqual([]);
    });
  });

  test('asks nobody else and reports no error', () => {
    const origin = new URL(run.statusPage).origin;
    expect(requested.filter((url) => new URL(url).origin !== origin)).toEqual([]);
    expect(errors).toEqual([]);
  });
});
