/** The dashboard's page in Chromium, served from this process, with the checks that hold for every page. */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { expect } from 'vitest';
import type * as Server from '../../src/dashboard/server.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { openBrowser, type BrowserOptions } from './browser.js';

// The compiled server serves the compiled page from its own folder.
const serverModule = new URL('../../dist/dashboard/server.js', import.meta.url).href;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Returns axe's serious and critical findings. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // The debugger injects the script, since the page's policy allows no foreign script.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run: () => Promise<{ violations: Violation[] }> };
    };
    return (await checker.run()).violations;
  });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Collects what no page may do: script errors, console errors, and requests to another server. */
export function watchFaults(page: Page, url: string): string[] {
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== new URL(url).origin && protocol !== 'data:' && protocol !== 'blob:')
      faults.push(`asked ${request.url()}`);
  });
  return faults;
}

/** Records what the page draws in canvases: `texts` and `strokes` of each canvas. */
const recordDrawing = `
  const { fillText, stroke } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    (this.canvas.texts ??= []).push(String(text));
    return fillText.call(this, text, x, y);
  };
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    const ratio = devicePixelRatio;
    const dash = this.getLineDash().map((length) => Math.round(length / ratio)).join(' ');
    (this.canvas.strokes ??= []).push(this.strokeStyle + ' ' + dash);
    return stroke.apply(this, path);
  };`;

/** The runs of a folder in one browser. */
export class DashboardPages {
  readonly url: string;
  readonly server: Server.Dashboard;
  readonly #browser: BrowserContext;
  readonly #faults: string[][] = [];
  readonly #pages: Page[] = [];

  private constructor(server: Server.Dashboard, browser: BrowserContext) {
    this.url = server.url;
    this.server = server;
    this.#browser = browser;
  }

  static async open(
    options: Partial<Server.DashboardOptions> & Pick<Server.DashboardOptions, 'runs'>,
    browser: BrowserOptions = {},
  ): Promise<DashboardPages> {
    const { openDashboard } = (await import(serverModule)) as typeof Server;
    const server = await openDashboard({
      address: { host: '127.0.0.1', port: 0, anyPort: true },
      token: null,
      live: null,
      warn: (message) => expect.unreachable(message),
      ...options,
    });
    const opened = await openBrowser(browser);
    // Guards against a hang, never a measure of speed.
    opened.setDefaultTimeout(120_000);
    return new DashboardPages(server, opened);
  }

  /** @param settings what follows the `#` of the address */
  async page(settings: string): Promise<Page> {
    const page = await this.#browser.newPage();
    this.#pages.push(page);
    this.#faults.push(watchFaults(page, this.url));
    await page.addInitScript(recordDrawing);
    await page.goto(`${this.url}#${settings}`);
    return page;
  }

  /** Closes all pages, for example after each test. */
  async closePages(): Promise<void> {
    for (const page of this.#pages.splice(0)) await page.close();
  }

  /** Closes the browser and the server. Fails if a page has done what no page may do. */
  async close(): Promise<void> {
    await this.#browser.close();
    await this.server.close();
    expect(this.#faults.flat()).toEqual([]);
  }
}

/** Texts and lines that a chart has drawn. */
export interface Drawing {
  readonly texts: readonly string[];
  /** Colour and dashes of each line, e.g. `#0b6bbd 7 4`. */
  readonly strokes: readonly string[];
}

/** @param title the chart's title */
export async function drawingOf(page: Page, title: string): Promise<Drawing> {
  return page.evaluate<Drawing>(`(() => {
    const figure = [...document.querySelectorAll('figure')].find(
      (figure) => figure.querySelector('h3').firstChild.textContent === ${JSON.stringify(title)});
    const { texts = [], strokes = [] } = figure.querySelector('canvas');
    return { texts, strokes };
  })()`);
}

/** Writes the log of a run. */
export async function writeLog(folder: string, name: string, events: readonly TimedEvent[]): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  const lines = events.map((event) => `${JSON.stringify(event)}\n`);
  await writeFile(join(folder, name, 'events.ndjson'), lines.join(''));
}
