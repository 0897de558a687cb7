/**
 * Makes the bundle that checks the engine webgpu on a machine with a GPU: `npm run verify:gpu -- --bundle DIR`. Copy the folder to such a
 * machine and run `sh verify-gpu.sh` in it; docs/gpu.md describes the stages. The stages run on this machine with
 * `sh DIR/verify-gpu.sh`, too. `--level N` sets the level at which xz compresses the programs, from 0 to 9 (default: 6). With a low level
 * the bundle is made faster, but is larger than the 45 MB that are permitted: the command then ends with status 1, and leaves the bundle.
 */
import { parseArgs } from 'node:util';
import { makeBundle } from './gpu-check/bundle.js';

const { values } = parseArgs({
  options: { bundle: { type: 'string' }, level: { type: 'string', default: '6' } },
});
if (values.bundle === undefined) {
  console.error('verify:gpu: expected --bundle DIR, the folder to make, got none.');
  process.exit(2);
}
if (!/^[0-9]$/.test(values.level)) {
  console.error(`verify:gpu: expected --level from 0 to 9, got "${values.level}".`);
  process.exit(2);
}
try {
  const { bytes } = await makeBundle(values.bundle, values.level, (line) => {
    console.error(line);
  });
  console.log(
    `${values.bundle}: ${(bytes / 1e6).toFixed(1)} MB. Run \`sh verify-gpu.sh\` in it on a machine with a GPU.`,
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
