/**
 * Compiles native/wasm to dist/wasm with AssemblyScript, whose compiler is an npm package, so the machine needs no toolchain.
 * Relaxed SIMD stays disabled, because its results differ between CPUs. Fails if the module of kernels has memory, data or
 * state of its own: it works on tfjs's heap (src/worker/kernels/wasm/module.ts).
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

// Above shrink level 0, the standard library's exp and log use no tables, which would be data of the module.
await compile('kernels', [
  '--importMemory',
  '--noExportMemory',
  '--optimizeLevel',
  '3',
  '--shrinkLevel',
  '1',
]);
await compile('math', ['--noExportMemory', '--optimizeLevel', '3', '--shrinkLevel', '0']);

const kernels = new WebAssembly.Module(readFileSync('dist/wasm/kernels.wasm'));
const imports = WebAssembly.Module.imports(kernels).map(({ module, name }) => `${module}.${name}`);
const text = readFileSync('dist/wasm/kernels.wat', 'utf8');
for (const name of ['kernels', 'math']) rmSync(`dist/wasm/${name}.wat`);
const [, state] = /^ \((data|global)/m.exec(text) ?? [];
if (imports.join() !== 'env.memory' || state !== undefined) {
  fail(
    'Building dist/wasm/kernels.wasm: expected the import env.memory alone, and no data or globals, ' +
      `got the imports [${imports.join()}] and ${state ?? 'no data'}. Remove static data and variables from native/wasm/kernels.`,
  );
}

async function compile(name, options) {
  const { error, stderr } = await asc.main([
    ...[`native/wasm/${name}/index.ts`, '--outFile', `dist/wasm/${name}.wasm`, '--runtime', 'stub'],
    ...['--textFile', `dist/wasm/${name}.wat`, '--noAssert', '--enable', 'simd', ...options],
  ]);
  if (error) fail(stderr.toString());
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
