/** Bundles the dashboard's page and its chart library to dist/dashboard/page/main.js, one file to load. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

const folder = 'dist/dashboard/page';
rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  input: 'src/dashboard/page/main.ts',
  platform: 'browser',
  // TypeScript's sources import each other by the names of their compiled files.
  resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
});
await bundle.write({ file: path.join(folder, 'main.js'), format: 'esm', minify: true });
await bundle.close();
