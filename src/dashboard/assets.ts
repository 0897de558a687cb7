/** The page's files, read once: its script from this build, the page from `web/`, and the chart library's styles from its package. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** Files by path: the page is at `/`. scripts/build-page.mjs bundles the script. */
export function loadAssets(): ReadonlyMap<string, Asset> {
  const script = fileURLToPath(new URL('page/main.js', import.meta.url));
  const page = fileURLToPath(new URL('../../web/dashboard/', import.meta.url));
  const charts = join(dirname(createRequire(import.meta.url).resolve('uplot')), '..', 'dist');
  const files: [string, string][] = [
    ['/', join(page, 'index.html')],
    ['/style.css', join(page, 'style.css')],
    ['/uplot.css', join(charts, 'uPlot.min.css')],
    ['/page.js', script],
  ];
  return new Map(files.map(([path, file]) => [path, read(file)]));
}

function read(file: string): Asset {
  const body = new Uint8Array(readFileSync(file));
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { body, type: types[extname(file)] ?? 'application/octet-stream', etag };
}
