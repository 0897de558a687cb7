import { describe, expect, it } from 'vitest';
import { commentLines } from '../../scripts/prose/comments.js';
import { beginsWithFragment, describesAsFragment } from '../../scripts/prose/fragments.js';
import { descriptions, testNames } from '../../scripts/prose/names.js';

const textsThatBegin = (file: string, source: string): string[] =>
  commentLines(file, source).flatMap(({ begins, text }) => (begins ? [text] : []));

describe('comment lines of TypeScript', () => {
  it('are those with text, numbered, and begin a comment at a block or after an empty line', () => {
    const source = `/**
 * Adds two numbers.
 * Both are finite.
 *
 * Returns the sum.
 * @param a the first one
 */
export const add = (a: number, b: number): number => a + b; // No overflow.
// A block of lines
// has one beginning.
//
// An empty line separates two.
add(1, 2 /* inline */);
`;
    expect(commentLines('a.ts', source)).toEqual([
      { line: 2, text: 'Adds two numbers.', begins: true },
      { line: 3, text: 'Both are finite.', begins: false },
      { line: 5, text: 'Returns the sum.', begins: true },
      { line: 6, text: '@param a the first one', begins: false },
      { line: 8, text: 'No overflow.', begins: true },
      { line: 9, text: 'A block of lines', begins: false },
      { line: 10, text: 'has one beginning.', begins: false },
      { line: 12, text: 'An empty line separates two.', begins: true },
      { line: 13, text: 'inline', begins: true },
    ]);
  });

  it('exclude strings, templates and regular expressions that look like comments', () => {
    const source = `const a = 'http://x'; const b = \`// \${1 /* real */} /* no */\`; const c = /\\/\\/ no/;`;
    expect(textsThatBegin('a.ts', source)).toEqual(['real']);
  });

  it('include comments without a following token', () => {
    expect(textsThatBegin('a.ts', 'f(\n  // Nothing to pass.\n);\n// End.')).toEqual([
      'Nothing to pass.',
      'End.',
    ]);
  });

  it('separate line comments that other code or an empty line separates', () => {
    expect(textsThatBegin('a.mjs', '// One.\nf();\n// Two.\n\n// Three.')).toEqual([
      'One.',
      'Two.',
      'Three.',
    ]);
  });
});

describe('comment lines of other languages', () => {
  it.each([
    ['a.cc', "// One.\nchar c = '\"'; // Two.\nf(\"// no\", '\\''); /* Three.\n * four */", 3],
    ['a.h', "int a = 1'000; // One.\nchar c = 'a'; // Two.", 2],
    ['a.h', '/* One. */\n#define X "/* no */"\n', 1],
    ['a.css', 'a { content: "/* no */"; } /* One. */\nb { background: url(//no); }', 1],
    ['a.html', '<!-- One.\n\nTwo. -->\n<p>// no</p>', 2],
    ['a.py', '"""One.\n\nTwo.\n"""\nx = "# no"  # Three.\ny = """no"""\n', 3],
  ])('are found in %s, and its strings are skipped', (file, source, count) => {
    const begun = ['One.', 'Two.', 'Three.'].slice(0, count);
    expect(textsThatBegin(file, source)).toEqual(begun);
  });

  it('are refused for an unknown type of file', () => {
    expect(() => commentLines('a.md', '')).toThrow(/^a\.md: expected one of /);
  });
});

describe('a fragment', () => {
  it.each([
    'What must be equal between two runs.',
    'Of the rest after the first dealing.',
    'whether the sums agree',
    'Whoever starts first.',
    'So often a checkpoint is written.',
    'From when the generation counts.',
    'Told once.',
  ])('begins %j', (text) => {
    expect(beginsWithFragment(text)).toBe(true);
  });

  it.each([
    'Offsets are in bytes.',
    'Howard Hinnant describes this algorithm.',
    'Steps of one epoch.',
    "What's returned is owned by the caller.",
    'Fromage.',
    'So the order is fixed.',
  ])('does not begin %j', (text) => {
    expect(beginsWithFragment(text)).toBe(false);
  });

  it.each([
    ['how often to evaluate', true],
    ['so many runs', true],
    ['interval between evaluations', false],
    ['where the output goes', false],
  ])('as a description: %j is %s', (text, expected) => {
    expect(describesAsFragment({ text })).toBe(expected);
  });
});

describe('names', () => {
  it('are the descriptions of fields, commands, options and arguments', () => {
    const source = `
      z.number().describe('samples per step');
      program.command('run').description("train a model").argument('<file>', 'input file', 'a');
      program.option('--steps <n>', 'number of steps ' + 'in total', '5')
        .requiredOption('--out <dir>', \`folder of \${what}\`).option('--silent');
      new Option('--seed <n>', 'random seed'); new Other('a', 'b');
      describe('a', dynamic);`;
    expect(descriptions(source)).toEqual([
      { line: 2, text: 'samples per step' },
      { line: 3, text: 'input file' },
      { line: 3, text: 'train a model' },
      { line: 5, text: 'folder of ' },
      { line: 4, text: 'number of steps ' },
      { line: 6, text: 'random seed' },
    ]);
  });

  it('are the first arguments of tests and their variants', () => {
    const source = `
      describe('adding', () => {
        it('is commutative', () => { expect(it).toBe('x'); });
        it.each(['no'])('adds %s', () => {});
        it.skipIf('no')(\`keeps \${order}\`, () => {});
        test.skip('is associative');
        describe.each([['no']])('of %s', () => {});
        expect('no').toBe('no');
      });`;
    expect(testNames(source)).toEqual([
      { line: 2, text: 'adding' },
      { line: 3, text: 'is commutative' },
      { line: 4, text: 'adds %s' },
      { line: 5, text: 'keeps ' },
      { line: 6, text: 'is associative' },
      { line: 7, text: 'of %s' },
    ]);
  });
});
