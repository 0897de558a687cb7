/**
 * Compiles native/wasm (AssemblyScript, whose compiler is a package like any other: no toolchain on the machine) to dist/wasm. SIMD
 * without relaxed SIMD, so that the result is specified to the bit. The kernels may have no memory, no data and no state of their
 * own: they work on tfjs's heap (src/worker/kernels/wasm/module.ts).
 */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

// Above shrink level 0 the library's exp and log are those without tables.
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
if (imports.join() !== 'env.memory' || /^ \((data|global)/m.test(text)) {
  fail(
    `dist/wasm/kernels.wasm: expected nothing but functions over an imported memory, got ${imports.join()}.`,
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
