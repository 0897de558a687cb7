/** Loads sharp, which decodes and scales pictures. Only runs that read or write pictures need it. */

import type sharp from 'sharp';
import { importOptional } from '../../shared/optional-package.js';

/**
 * @param purpose what needs sharp; the start of the error's message
 * @throws ConfigError if sharp is not installed
 */
export async function loadSharp(purpose: string): Promise<typeof sharp> {
  return (await importOptional<{ readonly default: typeof sharp }>('sharp', purpose)).default;
}
