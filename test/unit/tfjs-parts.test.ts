import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { requireTfjs, uniteParts } from '../../src/worker/engine/tfjs.js';
import { optionalPackages } from '../../src/shared/optional-package.js';

describe('the parts of tfjs', () => {
  it('have every export of the package @tensorflow/tfjs except those of WebGL, and the same objects', () => {
    const parts = uniteParts() as unknown as Record<string, unknown>;
    const missing = Object.keys(tf).filter((name) => name !== 'default' && !(name in parts));
    expect(missing.sort()).toEqual([
      'GPGPUContext',
      'MathBackendWebGL',
      'forceHalfFloat',
      'gpgpu_util',
      'setWebGLContext',
      'version_webgl',
      'webgl',
      'webgl_util',
    ]);
    const other = Object.keys(parts).filter(
      (name) => (tf as unknown as Record<string, unknown>)[name] !== parts[name],
    );
    expect(other.sort()).toEqual(['data', 'version']);
    expect(parts['data']).toMatchObject({ Dataset: tf.data.Dataset, array: tf.data.array });
    expect(tf.version).toMatchObject(parts['version'] as object);
  });

  it('are those of an installed @tensorflow/tfjs with the same tfjs-core', () => {
    expect(requireTfjs().layers).toBe(tf.layers);
    expect(requireTfjs()).toHaveProperty('version_webgl', '4.22.0');
  });
});

describe('the optional packages', () => {
  it('have the versions of package.json, and none of them is installed by default', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    expect(manifest['peerDependencies']).toEqual(optionalPackages);
    expect(Object.keys(manifest['peerDependenciesMeta'] ?? {})).toEqual(Object.keys(optionalPackages));
    for (const name of Object.keys(optionalPackages))
      expect(manifest['dependencies']).not.toHaveProperty([name]);
  });
});
