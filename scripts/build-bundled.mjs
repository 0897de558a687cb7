/**
 * Bundles dependencies of which a small part is needed, with what they depend on, into files of dist/bundled/, and lets the compiled
 * modules import these files. A project that installs Lockstep saves 11 MB. Sources and tests use the packages themselves, which are
 * development dependencies. The licences of all bundled packages are written beside the bundles.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

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
      const [, found] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id) ?? [];
      if (found !== undefined) packages.add(found);
    }
  const source = readFileSync(importer, 'utf8');
  const relative = path.posix.relative(path.posix.dirname(importer), file);
  const changed = source.replace(`from '${name}'`, `from '${relative}'`);
  if (changed === source) throw new Error(`${importer}: expected an import of ${name}, got none.`);
  writeFileSync(importer, changed);
}

const texts = [...packages].sort().map((found) => {
  const { name, version, license } = JSON.parse(readFileSync(path.join(found, 'package.json'), 'utf8'));
  const file = readdirSync(found).find((one) => /^(licen[cs]e|copying)(\.\w+)?$/i.test(one));
  if (file === undefined) throw new Error(`${name}: expected a file with its licence in ${found}, got none.`);
  return `${name} ${version} (${license})\n\n${readFileSync(path.join(found, file), 'utf8').trim()}\n`;
});
writeFileSync(path.join(folder, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`));
