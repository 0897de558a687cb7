/**
 * Bundles what the package @tensorflow/tfjs adds to its parts, the gradients of all kernels and the methods of tensors such as `add`, to
 * one script. tfjs-core contains them as modules that Node cannot load. They register in tfjs's global registries and with the class of
 * tensors, so the script exports nothing. It is written for `require` and for browsers.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

const folder = 'dist/tfjs';
const entry = '\0registrations';
rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  input: entry,
  platform: 'browser',
  plugins: [
    {
      name: 'entry',
      resolveId: (id) => (id === entry ? { id, moduleSideEffects: true } : undefined),
      load: (id) =>
        id === entry
          ? `import '${path.resolve('node_modules/@tensorflow/tfjs-core/dist/register_all_gradients.js')}';
             import '${path.resolve('node_modules/@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js')}';`
          : undefined,
    },
  ],
});
await bundle.write({ file: path.join(folder, 'registrations.cjs'), format: 'iife', minify: true });
await bundle.close();
