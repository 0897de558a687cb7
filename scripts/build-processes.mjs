/**
 * Bundles the compiled modules of the processes and threads that a run starts, and of the API. Node needs about a millisecond per module,
 * and a worker would load more than 700. The compiled files of the entry points become references to their bundles. All other compiled
 * files remain. A process loads no module twice, because the bundles share their parts: one build makes all of them.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { packageOf, writeLicences } from './licences.mjs';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Files of dist, without the extension. */
const entries = [
  'index',
  'api/fit/definition',
  'cli/main',
  'cli/bench/allreduce-worker',
  'worker/communicator/thread',
  'worker/checkpoint/writer-thread',
];

/** Packages that are bundled as well. Both are loaded by every process, and zod alone would be a hundred files. */
const bundledPackages = new Set(['zod', 'commander']);

const folder = 'dist/processes';
rmSync(folder, { recursive: true, force: true });

const own = path.resolve('dist') + path.sep;
const nameOf = (entry) => entry.replaceAll('/', '-');

/** Every module keeps its URL, since it finds other files by it. */
const keepUrls = {
  name: 'keep-urls',
  transform(code, id) {
    if (!id.startsWith(own) || !code.includes('import.meta.url')) return undefined;
    const url = `new URL('${path.relative(folder, id).split(path.sep).join('/')}', import.meta.url).href`;
    let changed = code;
    // From the last to the first, so that the positions of the others stay valid.
    for (const { start, end } of urlsIn(this.parse(code)).sort((a, b) => b.start - a.start))
      changed = changed.slice(0, start) + url + changed.slice(end);
    return changed;
  },
};

/** Returns the expressions `import.meta.url` below a node of a syntax tree. A string may contain the same text. */
function urlsIn(node) {
  if (typeof node !== 'object' || node === null) return [];
  if (node.type === 'MemberExpression' && node.object.type === 'MetaProperty' && node.property.name === 'url')
    return [node];
  return Object.values(node).flatMap(urlsIn);
}

const bundle = await rolldown({
  input: Object.fromEntries(entries.map((entry) => [nameOf(entry), path.resolve('dist', `${entry}.js`)])),
  platform: 'node',
  external: (id) => /^[^./\0]/.test(id) && !path.isAbsolute(id) && !bundledPackages.has(id),
  plugins: [keepUrls],
});
const { output } = await bundle.write({
  dir: folder,
  format: 'esm',
  entryFileNames: '[name].js',
  // Without hashes, so that builds of two versions can be compared by the names of their files.
  chunkFileNames: '[name].js',
});
await bundle.close();

for (const entry of entries) {
  const file = `dist/${entry}.js`;
  const { exports } = output.find(({ fileName }) => fileName === `${nameOf(entry)}.js`);
  const target = path.posix.relative(path.posix.dirname(file), `${folder}/${nameOf(entry)}.js`);
  const specifier = target.startsWith('.') ? target : `./${target}`;
  const [shebang = ''] = /^#!.*\n/.exec(readFileSync(file, 'utf8')) ?? [];
  const names = exports.filter((name) => name !== 'default').length > 0 ? '* from ' : undefined;
  writeFileSync(file, `${shebang}${names === undefined ? 'import ' : `export ${names}`}'${specifier}';\n`);
}

const ids = output.flatMap(({ modules = {} }) => Object.keys(modules));
writeLicences(
  [...new Set(ids.map(packageOf))].filter((found) => found !== undefined),
  folder,
);
