/** The page's files, read once: modules from this build, the page from `web/`, and the chart library from its package. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
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

/** Files by path: the page at `/`, and modules under their paths in the build, so that relative imports work. */
export function loadAssets(): ReadonlyMap<string, Asset> {
  const build = fileURLToPath(new URL('../', import.meta.url));
  const page = fileURLToPath(new URL('../../web/dashboard/', import.meta.url));
  const charts = join(dirname(createRequire(import.meta.url).resolve('uplot')), '..', 'dist');
  const modules = readdirSync(join(build, 'dashboard', 'page')).map((name) => `dashboard/page/${name}`);
  const files: [string, string][] = [
    ['/', join(page, 'index.html')],
    ['/style.css', join(page, 'style.css')],
    ['/uplot.css', join(charts, 'uPlot.min.css')],
    ['/dashboard/page/uplot.js', join(charts, 'uPlot.esm.js')],
    ...[...modules, 'shared/timeline/step-parts.js']
      .filter((module) => module.endsWith('.js'))
      .map((module): [string, string] => [`/${module}`, join(build, module)]),
  ];
  return new Map(files.map(([path, file]) => [path, read(file)]));
}

function read(file: string): Asset {
  const body = new Uint8Array(readFileSync(file));
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { body, type: types[extname(file)] ?? 'application/octet-stream', etag };
}
