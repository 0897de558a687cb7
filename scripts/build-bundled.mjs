/**
 * Bundles dependencies of which a small part is needed, with what they depend on, into files of dist/bundled/, and lets the compiled
 * modules import these files. A project that installs Lockstep saves 11 MB. Sources and tests use the packages themselves, which are
 * development dependencies. The licences of all bundled packages are written beside the bundles.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { packageOf, writeLicences } from './licences.mjs';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** The package, the only compiled module that imports it, and the exports that this module uses. */
const bundles = [
  {
    name: 'prom-client',
    importer: 'dist/dashboard/metrics.js',
    exported: '{ Counter, Gauge, Histogram, Registry }',
  },
  { name: 'protobufjs', importer: 'dist/shared/files/protobuf.js', exported: '{ default }' },
];

const folder = 'dist/bundled';
rmSync(folder, { recursive: true, force: true });

/** Folders of the packages whose modules are in a bundle. */
const packages = new Set();

for (const { name, importer, exported } of bundles) {
  const entry = `\0${name}`;
  const bundle = await rolldown({
    input: entry,
    platform: 'node',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) =>
          id === entry ? `export ${exported} from '${path.resolve('node_modules', name)}';` : undefined,
      },
    ],
  });
  const file = path.join(folder, `${name}.js`);
  const { output } = await bundle.write({ file, format: 'esm', minify: true });
  await bundle.close();
  for (const { modules = {} } of output)
    for (const id of Object.keys(modules)) {
      const found = packageOf(id);
      if (found !== undefined) packages.add(found);
    }
  const source = readFileSync(importer, 'utf8');
  const relative = path.posix.relative(path.posix.dirname(importer), file);
  const changed = source.replace(`from '${name}'`, `from '${relative}'`);
  if (changed === source) throw new Error(`${importer}: expected an import of ${name}, got none.`);
  writeFileSync(importer, changed);
}

writeLicences([...packages], folder);
