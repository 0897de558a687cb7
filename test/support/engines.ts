/** The engine of a test run: test/suites.ts lists the tests that run again with LOCKSTEP_ENGINE=wasm. */

/**
 * `it.skipIf(onWasm)` is for tests that name their engines themselves, whose training would take minutes in WebAssembly, or that are about
 * files, settings and words.
 */
export const onWasm = process.env['LOCKSTEP_ENGINE'] === 'wasm';

/** Name of the engine of this test run's workers. */
export const engineUnderTest = onWasm ? /WebAssembly/ : /TensorFlow/;
