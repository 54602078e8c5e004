// COPY between real folders, as root: sources, destinations, owners, modes, links. Where BuildKit was measured, it is the measure.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CopyFixture, type CopyOptions } from '../../support/copy-fixture.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root to give files away';

interface Row {
  readonly title: string;
  readonly context?: string;
  readonly stage?: string;
  readonly root?: string;
  readonly copies: readonly string[];
  readonly options?: CopyOptions;
  readonly lines: readonly string[];
  readonly warnings?: readonly string[];
  /** Instead of `lines`. */
  readonly error?: RegExp;
}

const passwd =
  "printf 'root:x:0:0::/:\\napp:x:1000:1000::/:\\nsvc:x:2000:3000::/:\\n' > etc/passwd; printf 'extra:x:4000:app\\nsvc:x:3000:\\n' > etc/group";

const rows: readonly Row[] = [
  { title: 'a file gets the name of a destination without slash', context: 'echo a > a', copies: ['a /one'], lines: ["one 0644 0:0 'a'"] },
  {
    title: 'a file goes into a destination with slash',
    context: 'echo a > a',
    copies: ['a /into/'],
    lines: ['into/ 0755 0:0', "into/a 0644 0:0 'a'"],
  },
  {
    title: 'a file goes into an existing directory',
    context: 'echo a > a',
    root: 'mkdir -m 700 d',
    copies: ['a /d'],
    lines: ['d/ 0700 0:0', "d/a 0644 0:0 'a'"],
  },
  {
    title: 'a directory means its content',
    context: 'mkdir -p d/e; echo c > d/c',
    copies: ['d /x', 'd/ /y/'],
    lines: ['x/ 0755 0:0', "x/c 0644 0:0 'c'", 'x/e/ 0755 0:0', 'y/ 0755 0:0', "y/c 0644 0:0 'c'", 'y/e/ 0755 0:0'],
  },
  {
    title: 'leading slashes and dots of a source stay in the context',
    context: 'echo a > a',
    copies: ['../../a /1', '/a /2', './a /3', 'x/../a /4'],
    lines: ["1 0644 0:0 'a'", "2 0644 0:0 'a'", "3 0644 0:0 'a'", "4 0644 0:0 'a'"],
  },
  {
    title: 'relative destinations start at WORKDIR',
    context: 'echo a > a',
    copies: ['a new/rel', 'a .', 'a ../up'],
    options: { workingDir: '/w' },
    lines: ["up 0644 0:0 'a'", 'w/ 0755 0:0', "w/a 0644 0:0 'a'", 'w/new/ 0755 0:0', "w/new/rel 0644 0:0 'a'"],
  },
  {
    title: 'wildcards match by component, dot files too, and directories give their content',
    context: 'mkdir -p d1/x d2; echo 1 > d1/1; echo 2 > d2/.h; echo t > t.txt; touch d1/x/x',
    copies: ['d* /3/', '*.txt /4/', '*/.h /5/', '*/x /6/'],
    lines: [
      '3/ 0755 0:0',
      "3/.h 0644 0:0 '2'",
      "3/1 0644 0:0 '1'",
      '3/x/ 0755 0:0',
      "3/x/x 0644 0:0 ''",
      '4/ 0755 0:0',
      "4/t.txt 0644 0:0 't'",
      '5/ 0755 0:0',
      "5/.h 0644 0:0 '2'",
      '6/ 0755 0:0',
      "6/x 0644 0:0 ''",
    ],
  },
  { title: 'a wildcard that matches nothing copies nothing', context: 'touch a', copies: ['*.nope /x/'], lines: [] },
  {
    title: 'a link named as a source is followed inside the context, one in a directory stays',
    context: 'mkdir d; echo t > d/t; ln -s t d/rel; ln -s /etc/passwd d/abs; ln -s no d/dangling; ln -s d/t top; ln -s /d dirlink',
    copies: ['top /top', 'dirlink /dl', 'dirlink/t /via'],
    lines: [
      'dl/ 0755 0:0',
      'dl/abs -> /etc/passwd 0:0',
      'dl/dangling -> no 0:0',
      'dl/rel -> t 0:0',
      "dl/t 0644 0:0 't'",
      "top 0644 0:0 't'",
      "via 0644 0:0 't'",
    ],
  },
  {
    title: 'files of a context belong to root and keep their modes',
    context: 'echo s > s; chown 1234:5678 s; chmod 4755 s; mkdir -m 700 pd; touch pd/x; chmod 600 pd/x',
    copies: ['s /', 'pd /pd', 'pd/.. /all'],
    lines: [
      'all/ 0755 0:0',
      'all/pd/ 0700 0:0',
      "all/pd/x 0600 0:0 ''",
      "all/s 4755 0:0 's'",
      'pd/ 0755 0:0',
      "pd/x 0600 0:0 ''",
      "s 4755 0:0 's'",
    ],
  },
  {
    title: 'files of a stage keep their owners, a new destination directory does not take any',
    stage: 'mkdir -p out/sub; echo a > out/a; chown -R 1000:3000 out; chmod 750 out out/sub',
    copies: ['--from=s out /x'],
    lines: ['x/ 0755 0:0', "x/a 0644 1000:3000 'a'", 'x/sub/ 0750 1000:3000'],
  },
  {
    title: '--chown takes names of the image, numbers, and either part',
    context: 'mkdir -p d/e; echo a > a',
    root: passwd,
    copies: ['--chown=app a /1/a', '--chown=app:svc a /2', '--chown=7 d /3/4/', '--chown=55:66 d /5', '--chown=:svc a /6'],
    lines: [
      '1/ 0755 1000:1000',
      "1/a 0644 1000:1000 'a'",
      "2 0644 1000:3000 'a'",
      '3/ 0755 7:7',
      '3/4/ 0755 7:7',
      '3/4/e/ 0755 7:7',
      '5/ 0755 55:66',
      '5/e/ 0755 55:66',
      "6 0644 0:3000 'a'",
    ],
  },
  {
    title: '--chown with an unknown name fails',
    context: 'echo a > a',
    root: passwd,
    copies: ['--chown=phantom a /a'],
    lines: [],
    error: /phantom/,
  },
  {
    title: 'octal --chmod is for created parents too, symbolic is not',
    context: 'mkdir -p d/e; echo b > d/b; chmod 755 d/b; echo a > a; chmod 600 a',
    copies: [
      '--chmod=755 a /1',
      '--chmod=0644 d /2/',
      '--chmod=u=rwx,go=rX d /3/',
      '--chmod=go+r,a-x d/b /4',
      '--chmod=444 a /n/d/f',
      '--chmod=$M a /5',
    ],
    options: { variables: { M: '4711' } },
    lines: [
      "1 0755 0:0 'a'",
      '2/ 0644 0:0',
      "2/b 0644 0:0 'b'",
      '2/e/ 0644 0:0',
      '3/ 0755 0:0',
      "3/b 0755 0:0 'b'",
      '3/e/ 0755 0:0',
      "4 0644 0:0 'b'",
      "5 4711 0:0 'a'",
      'n/ 0444 0:0',
      'n/d/ 0444 0:0',
      "n/d/f 0444 0:0 'a'",
    ],
  },
  { title: '--chmod with nonsense fails', context: 'touch a', copies: ['--chmod=99999 a /a'], lines: [], error: /99999.*octal/ },
  {
    title: 'links in a destination are followed inside the root, dangling ones too',
    context: 'echo a > a',
    root: 'mkdir real; ln -s /real abs; ln -s ../../../../real esc; ln -s /later dangling; touch real/f; ln -s real/f file',
    copies: ['a /abs/1', 'a /esc/2', 'a /abs/new/3', 'a /dangling/', 'a /file'],
    lines: [
      'abs -> /real 0:0',
      'dangling -> /later 0:0',
      'esc -> ../../../../real 0:0',
      'file -> real/f 0:0',
      'later/ 0755 0:0',
      "later/a 0644 0:0 'a'",
      'real/ 0755 0:0',
      "real/1 0644 0:0 'a'",
      "real/2 0644 0:0 'a'",
      "real/f 0644 0:0 'a'",
      'real/new/ 0755 0:0',
      "real/new/3 0644 0:0 'a'",
    ],
  },
  {
    title: 'a link in a directory that is merged is replaced by a file',
    context: 'mkdir d; echo n > d/l',
    root: 'mkdir x; echo o > o; ln -s ../o x/l',
    copies: ['d /x'],
    lines: ["o 0644 0:0 'o'", 'x/ 0755 0:0', "x/l 0644 0:0 'n'"],
  },
  {
    title: 'a link where a directory must go is an error',
    context: 'mkdir -p d/sub',
    root: 'mkdir x real; ln -s ../real x/sub',
    copies: ['d /x'],
    lines: [],
    error: /'\/x\/sub'.*not a directory/,
  },
  {
    title: 'a file does not replace a directory',
    context: 'mkdir d; touch d/sub',
    root: 'mkdir -p x/sub',
    copies: ['d /x'],
    lines: [],
    error: /'\/x\/sub'.*a directory is there/,
  },
  {
    title: 'a directory does not replace a file',
    context: 'mkdir d',
    root: 'touch x',
    copies: ['d /x'],
    lines: [],
    error: /'\/x' is not a directory/,
  },
  {
    title: 'a file on the way to a destination is an error',
    context: 'touch a',
    root: 'touch x',
    copies: ['a /x/y/z'],
    lines: [],
    error: /'\/x' is not a directory/,
  },
  {
    title: 'an existing top directory keeps mode and owner, a nested one takes those of the source',
    context: 'mkdir -p d/n; chmod 700 d d/n; touch d/n/new',
    root: 'mkdir -p x/n; chown -R 5:6 x; chmod 1777 x x/n; touch x/n/old',
    copies: ['d /x'],
    lines: ['x/ 1777 5:6', 'x/n/ 0700 0:0', "x/n/new 0644 0:0 ''", "x/n/old 0644 0:0 ''"],
  },
  {
    title: 'of several sources for one file the last wins, and a warning names the others',
    context: 'echo a > a; echo b > b; echo c > c',
    copies: ['a b c /x', '[ab] /y'],
    lines: ["x 0644 0:0 'c'", "y 0644 0:0 'b'"],
    warnings: [
      "'c' overwrote 'a', 'b': '/x' is one file; write '/x/' for a directory",
      "'b' overwrote 'a': '/y' is one file; write '/y/' for a directory",
    ],
  },
  {
    title: 'a file joins a directory that came before it, and is in the way of one behind it',
    context: 'mkdir d; echo n > d/n; echo a > a',
    copies: ['d a /x'],
    lines: ['x/ 0755 0:0', "x/a 0644 0:0 'a'", "x/n 0644 0:0 'n'"],
  },
  {
    title: 'a destination is cleaned by its spelling before its links are followed',
    context: 'echo a > a',
    root: 'mkdir -p target/sub; ln -s /target/sub link',
    copies: ['a /link/..', 'a /link/../b', 'a /link/c'],
    lines: [
      "a 0644 0:0 'a'",
      "b 0644 0:0 'a'",
      'link -> /target/sub 0:0',
      'target/ 0755 0:0',
      'target/sub/ 0755 0:0',
      "target/sub/c 0644 0:0 'a'",
    ],
  },
  {
    title: 'new directories below a setgid directory are of its group and setgid, and a copied one is as its source',
    context: 'echo a > a; mkdir -p d/e',
    root: 'mkdir -m 2775 s; chgrp 9 s',
    copies: ['a /s/new/a', 'd /s/tree', '--chown=5:6 a /s/own/'],
    lines: [
      's/ 2775 0:9',
      's/new/ 2755 0:9',
      "s/new/a 0644 0:0 'a'",
      's/own/ 2755 5:6',
      "s/own/a 0644 5:6 'a'",
      's/tree/ 2755 0:9',
      's/tree/e/ 0755 0:0',
    ],
  },
  {
    title: 'flags that come out empty are as if they were not there',
    context: 'echo a > a; chmod 600 a',
    copies: ['--chown= --chmod= a /x'],
    lines: ["x 0600 0:0 'a'"],
  },
  {
    title: 'several sources go into a directory that exists',
    context: 'touch a b',
    root: 'mkdir x',
    copies: ['a b /x'],
    lines: ['x/ 0755 0:0', "x/a 0644 0:0 ''", "x/b 0644 0:0 ''"],
  },
  {
    title: '--exclude is relative to each source and drops matches at any depth it names',
    context: 'mkdir -p d/sub; touch d/a.txt d/b.md d/sub/d.txt d/sub/e.md',
    copies: ['--exclude=*.md d /1/', '--exclude=**/*.txt d /2/', '--exclude=sub --exclude=!sub/e.md d /3'],
    lines: [
      '1/ 0755 0:0',
      "1/a.txt 0644 0:0 ''",
      '1/sub/ 0755 0:0',
      "1/sub/d.txt 0644 0:0 ''",
      "1/sub/e.md 0644 0:0 ''",
      '2/ 0755 0:0',
      "2/b.md 0644 0:0 ''",
      '2/sub/ 0755 0:0',
      "2/sub/e.md 0644 0:0 ''",
      '3/ 0755 0:0',
      "3/a.txt 0644 0:0 ''",
      "3/b.md 0644 0:0 ''",
      '3/sub/ 0755 0:0',
      "3/sub/e.md 0644 0:0 ''",
    ],
  },
  {
    title: '--exclude drops files that a wildcard matched',
    context: 'touch hom.txt hom.md home',
    copies: ['--exclude=*.txt --exclude=*.md hom* /x/'],
    lines: ['x/ 0755 0:0', "x/home 0644 0:0 ''"],
  },
  {
    title: '--parents keeps the directories of the source, from the pivot on',
    context: 'mkdir -p x/y/z x/k; echo 1 > x/y/z/1; echo 2 > x/y/2; chmod 750 x/y; touch x/k/3',
    copies: ['--parents x/y/z/1 x/k /p/', '--parents x/./y/z/1 /q/', '--parents x/*/2 /r/', '--parents x/**/1 /s/'],
    lines: [
      'p/ 0755 0:0',
      'p/x/ 0755 0:0',
      'p/x/k/ 0755 0:0',
      "p/x/k/3 0644 0:0 ''",
      'p/x/y/ 0750 0:0',
      'p/x/y/z/ 0755 0:0',
      "p/x/y/z/1 0644 0:0 '1'",
      'q/ 0755 0:0',
      'q/y/ 0750 0:0',
      'q/y/z/ 0755 0:0',
      "q/y/z/1 0644 0:0 '1'",
      'r/ 0755 0:0',
      'r/x/ 0755 0:0',
      'r/x/y/ 0750 0:0',
      "r/x/y/2 0644 0:0 '2'",
      's/ 0755 0:0',
      's/x/ 0755 0:0',
      's/x/y/ 0750 0:0',
      's/x/y/z/ 0755 0:0',
      "s/x/y/z/1 0644 0:0 '1'",
    ],
  },
  {
    title: '--parents fails where a plain source is missing',
    context: 'mkdir x; touch x/abc',
    copies: ['--parents x/abd /p/'],
    lines: [],
    error: /'x\/abd'.*not found/,
  },
  {
    title: '--parents leaves existing directories as they are',
    context: 'mkdir -p x/y; touch x/y/1; chmod 700 x x/y',
    root: 'mkdir -m 1777 x',
    copies: ['--parents x/y/1 /'],
    lines: ['x/ 1777 0:0', 'x/y/ 0700 0:0', "x/y/1 0644 0:0 ''"],
  },
  {
    title: '--link does not follow links of the destination but replaces them',
    context: 'echo a > a',
    root: 'mkdir real; ln -s /real abs',
    copies: ['--link a /abs/1'],
    lines: ['abs/ 0755 0:0', "abs/1 0644 0:0 'a'", 'real/ 0755 0:0'],
  },
  {
    title: '--link knows nothing of the directories that it goes through, and gives them new modes and owners',
    context: 'echo a > a',
    root: 'mkdir -m 1777 tmp; mkdir -m 2775 s; chown 5:9 s',
    copies: ['--link a /tmp/', '--link a /s/linked/', '--link --chown=7:8 a /s/own/'],
    lines: [
      's/ 0755 7:8',
      's/linked/ 0755 0:0',
      "s/linked/a 0644 0:0 'a'",
      's/own/ 0755 7:8',
      "s/own/a 0644 7:8 'a'",
      'tmp/ 0755 0:0',
      "tmp/a 0644 0:0 'a'",
    ],
  },
  {
    title: '--link with a name in --chown fails',
    context: 'echo a > a',
    root: passwd,
    copies: ['--link --chown=app a /x'],
    lines: [],
    error: /--chown=app with --link/,
  },
  {
    title: 'names that are not ASCII are copied by their bytes',
    context: 'mkdir d; touch d/ü "d/$(printf \'a\\377\')"',
    copies: ['d/ü /1', 'd/* /2/'],
    lines: ["1 0644 0:0 ''", '2/ 0755 0:0', "2/a\ufffd 0644 0:0 ''", "2/ü 0644 0:0 ''"],
  },
  {
    title: 'a missing source is named, with a guess',
    context: 'touch missing.text',
    copies: ['missing.txt /x'],
    lines: [],
    error: /'missing.txt': not found in the build context/,
  },
  {
    title: 'a source that leads out of the context through a link is missing',
    context: 'ln -s ../../../../../../etc/hostname out',
    copies: ['out /x'],
    lines: [],
    error: /'out' in the build context is a symbolic link to 'etc\/hostname'/,
  },
  { title: 'a loop of links is an error', context: 'ln -s b a; ln -s a b', copies: ['a /x'], lines: [], error: /too many symbolic links/ },
  {
    title: 'an ignored source is missing, and the rule is named',
    context: 'touch secret',
    copies: ['secret /x'],
    options: { ignore: '# no secrets\nsecret\n' },
    lines: [],
    error: /excluded from the build context by \.dockerignore:2 'secret'/,
  },
  {
    title: 'a link to an ignored file is excluded too',
    context: 'touch secret; ln -s secret l',
    copies: ['l /x'],
    options: { ignore: 'secret' },
    lines: [],
    error: /\.dockerignore:1/,
  },
  {
    title: 'an ignored directory with an exception below is still there',
    context: 'mkdir -p docs/a; touch docs/a/1 docs/README docs/x',
    copies: ['docs /d', 'docs* /e'],
    options: { ignore: 'docs\n!docs/README' },
    lines: ['d/ 0755 0:0', "d/README 0644 0:0 ''", 'e/ 0755 0:0', "e/README 0644 0:0 ''"],
  },
  {
    title: 'ignore rules do not hold for stages',
    stage: 'touch secret',
    copies: ['--from=s secret /x'],
    options: { ignore: 'secret' },
    lines: ["x 0644 0:0 ''"],
  },
  { title: 'COPY takes no URL', copies: ['https://example.org/x /x'], lines: [], error: /COPY takes no URLs/ },
  { title: 'COPY takes no repository', copies: ['git@example.org:x.git /x'], lines: [], error: /COPY takes no git/ },
  { title: '--from takes no variable', copies: ['--from=$S a /x'], lines: [], error: /variables are not expanded/ },
];

for (const row of rows) {
  test(`COPY: ${row.title}`, { skip }, async () => {
    using fixture = new CopyFixture();
    if (row.context !== undefined) fixture.sh('context', row.context);
    if (row.stage !== undefined) fixture.sh('stage', row.stage);
    if (row.root !== undefined) fixture.sh('root', row.root);
    const run = async (): Promise<void> => {
      for (const copy of row.copies) await fixture.copy(copy, row.options);
    };
    if (row.error !== undefined) {
      await assert.rejects(run, row.error);
      return;
    }
    await run();
    assert.deepEqual(
      fixture.lines().filter((line) => !line.startsWith('etc/')),
      row.lines,
    );
    const warnings = fixture.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
    if (row.warnings !== undefined) assert.deepEqual(warnings, row.warnings);
  });
}
