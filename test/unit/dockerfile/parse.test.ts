import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DockerfileError, type SourceRange } from '../../../src/errors.ts';
import type { Instruction } from '../../../src/dockerfile/instruction.ts';
import { parseDockerfile, parseOnbuild } from '../../../src/dockerfile/parse.ts';

/** The instructions of the one stage that holds `lines`. */
function instructionsOf(lines: string, head = ''): readonly Instruction[] {
  return parseDockerfile(`${head}FROM scratch\n${lines}`, 'Dockerfile').stages[0]?.instructions ?? [];
}

type InstructionOf<Kind, Candidate = Instruction> = Candidate extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? Candidate
    : never
  : never;

function only<Kind extends Instruction['kind']>(lines: string, kind: Kind, head = ''): InstructionOf<Kind> {
  const [instruction, ...more] = instructionsOf(lines, head);
  assert.equal(more.length, 0, `more than one instruction in ${JSON.stringify(lines)}`);
  assert.ok(instruction !== undefined && isKind(instruction, kind), `no ${kind} in ${JSON.stringify(lines)}`);
  return instruction;
}

function isKind<Kind extends Instruction['kind']>(instruction: Instruction, kind: Kind): instruction is InstructionOf<Kind> & Instruction {
  return instruction.kind === kind;
}

function show(range: SourceRange): string {
  return `${range.start.line}:${range.start.column}-${range.end.line}:${range.end.column}`;
}

const bodiesOf = (instruction: Instruction): readonly string[] => {
  assert.ok(instruction.kind === 'run' && instruction.command.form === 'shell');
  return instruction.command.heredocs.map((heredoc) => heredoc.body);
};

// One test for each thing that dockerfile-ast reads otherwise than BuildKit does.

test('a byte order mark is no part of the first instruction', () => {
  const { stages } = parseDockerfile('\uFEFFFROM scratch\n', 'Dockerfile');
  assert.equal(stages[0]?.from.image, 'scratch');
});

test('lines ending in CR LF read like lines ending in LF', () => {
  const run = only('RUN a \\\r\n  b\r\n', 'run');
  assert.deepEqual(run.command, { form: 'shell', text: 'a   b', heredocs: [] });
  assert.equal(show(run.range), '2:1-3:4');
});

test('a carriage return alone is a blank, not a line end', () => {
  assert.equal(only('RUN\ra\rb\n', 'run').text, 'RUN\ra\rb');
});

test('two flags on one instruction are both read', () => {
  const copy = only('COPY --from=build --chown=1:1 --link x y\n', 'copy');
  assert.equal(copy.from?.value, 'build');
  assert.equal(copy.chown?.value, '1:1');
  assert.equal(copy.link, true);
});

test('quotes and backslashes inside a flag are processed, blanks in them kept', () => {
  const run = only('RUN --mount="type=bind,source=a b" --mount=type=tmpfs,target=/a\\ b make\n', 'run');
  assert.deepEqual(
    run.mounts.map((mount) => mount.value),
    ['type=bind,source=a b', 'type=tmpfs,target=/a b'],
  );
  assert.deepEqual(
    run.mounts.map((mount) => show(mount.range)),
    ['2:5-2:35', '2:36-2:67'],
  );
});

test('a lone -- ends the flags', () => {
  assert.deepEqual(only('RUN -- --version\n', 'run').command, { form: 'shell', text: '--version', heredocs: [] });
});

test('a quoted value with blanks stays one pair', () => {
  assert.deepEqual(only(`ENV a="x y" b='z w' c=d\\ e\n`, 'env').pairs, [
    { key: 'a', value: '"x y"' },
    { key: 'b', value: "'z w'" },
    { key: 'c', value: 'd\\ e' },
  ]);
});

test('a doubled escape character at a line end continues nothing', () => {
  const [first, second] = instructionsOf('WORKDIR C:\\\\\nUSER x\n');
  assert.equal(first?.text, 'WORKDIR C:\\\\');
  assert.equal(second?.kind, 'user');
});

test('blanks behind the escape character still continue the line', () => {
  assert.equal(only('RUN a \\  \t\n  b\n', 'run').text, 'RUN a   b');
});

test('an escape character in the middle of a word is text', () => {
  assert.equal(only('RUN a\\ b \\c\n', 'run').text, 'RUN a\\ b \\c');
});

test('a line of nothing but the escape character leads into the next', () => {
  const user = only('\\\nUSER x\n', 'user');
  assert.equal(user.word, 'x');
  assert.equal(show(user.range), '3:1-3:7');
});

test('a keyword may be continued on the next line', () => {
  assert.equal(only('RU\\\nN make\n', 'run').text, 'RUN make');
});

test('comments and blank lines inside a continuation vanish, indented ones too', () => {
  const run = only('RUN a \\\n# one\n\n   # two\n  && b\n', 'run');
  assert.equal(run.text, 'RUN a   && b');
  assert.equal(run.notes?.hasEmptyContinuation, true);
  assert.equal(show(run.range), '2:1-6:7');
});

test('a hash further right is text', () => {
  assert.equal(only('RUN a # b\n', 'run').text, 'RUN a # b');
});

test('with the escape directive a backslash is text and a backtick continues', () => {
  const [workdir, run] = instructionsOf('WORKDIR C:\\\nRUN a `\n b\n', '# escape=`\n');
  assert.equal(workdir?.text, 'WORKDIR C:\\');
  assert.equal(run?.text, 'RUN a  b');
});

test('an instruction may begin at vertical tabs, form feeds and no-break spaces', () => {
  assert.equal(only('\v\f\u00a0RUN\vmake\n', 'run').text, 'RUN\vmake');
});

test('a heredoc body is no instruction, whatever it looks like', () => {
  const [run, user] = instructionsOf('RUN <<EOF\nFROM x\n# not a comment\n\n  EOF\nlast \\\nEOF\nUSER x\n');
  assert.ok(run !== undefined);
  assert.deepEqual(bodiesOf(run), ['FROM x\n# not a comment\n\n  EOF\nlast \\\n']);
  assert.equal(show(run.range), '2:1-8:4');
  assert.equal(user?.kind, 'user');
});

test('a heredoc mark inside quotes or with a file descriptor is told apart', () => {
  const [quoted, third, user] = instructionsOf('RUN echo "a <<b" \'<<c\'\nRUN cat 3<<EOF <&3\nx\nEOF\nUSER x\n');
  assert.ok(quoted !== undefined && third !== undefined);
  assert.deepEqual(bodiesOf(quoted), []);
  assert.deepEqual(bodiesOf(third), ['x\n']);
  assert.equal(user?.kind, 'user');
});

test('a shift or a here-string is no heredoc', () => {
  for (const line of ['RUN echo $((1<<2))', 'RUN cat <<<word', 'RUN a << ', 'RUN a<<b']) {
    const [run, user] = instructionsOf(`${line}\nUSER x\n`);
    assert.ok(run !== undefined);
    assert.deepEqual(bodiesOf(run), [], line);
    assert.equal(user?.kind, 'user', line);
  }
});

test('blanks may stand between << and its name, in COPY too', () => {
  const [run, copy] = instructionsOf('RUN cat << EOF\nx\nEOF\nCOPY << EOF /d\ny\nEOF\n');
  assert.ok(run !== undefined);
  assert.deepEqual(bodiesOf(run), ['x\n']);
  assert.ok(copy?.kind === 'copy');
  assert.deepEqual(copy.sources, [{ kind: 'heredoc', heredoc: { name: 'EOF', body: 'y\n', expand: true, chomp: false } }]);
});

test("flags are unescaped by the file's escape character", () => {
  const [copy, run] = instructionsOf('COPY --exclude=a\\b --chown=a`b` c x y\nRUN --mount=type=tmpfs,target=C:\\t make\n', '# escape=`\n');
  assert.deepEqual(copy?.kind === 'copy' && [copy.excludes[0]?.value, copy.chown?.value, copy.destination], ['a\\b', 'ab c', 'y']);
  assert.equal(run?.kind === 'run' && run.mounts[0]?.value, 'type=tmpfs,target=C:\\t');
  const [trigger] = instructionsOf('ONBUILD COPY --chown=a\\b c d\n', '# escape=`\n');
  assert.equal(trigger?.kind === 'onbuild' && trigger.expression, 'COPY --chown=a\\b c d');
});

test('RUN may have no command, with flags or without', () => {
  const none = { form: 'shell', text: '', heredocs: [] };
  assert.deepEqual(only('RUN\n', 'run').command, none);
  assert.deepEqual(only('RUN --network=host\n', 'run').command, none);
  assert.deepEqual(only('RUN []\n', 'run').command, { form: 'exec', argv: [] });
  assert.equal(only('ONBUILD RUN\n', 'onbuild').expression, 'RUN');
});

test('U+FEFF inside a file is a character like any other', () => {
  assert.deepEqual(only('ENV A=x\ufeffy B=\ufeff\n', 'env').pairs, [
    { key: 'A', value: 'x\ufeffy' },
    { key: 'B', value: '\ufeff' },
  ]);
  assert.deepEqual(only('RUN make \ufeff\n', 'run').command, { form: 'shell', text: 'make \ufeff', heredocs: [] });
  assert.deepEqual(only('VOLUME ["/a\ufeff", " /b "]\n', 'volume').words, ['/a\ufeff', '/b']);
  assert.deepEqual(only('COPY --chown=\ufeff a b\n', 'copy').chown?.value, '\ufeff');
  assert.equal(parseDockerfile('# escape\ufeff=`\nFROM scratch\n', 'Dockerfile').escape, '\\');
});

test('several heredocs follow each other in the order of their names', () => {
  const copy = only('COPY <<X <<Y a /d/\nY\nX\nX\nY\n', 'copy');
  assert.deepEqual(
    copy.sources.map((source) => (source.kind === 'heredoc' ? [source.heredoc.name, source.heredoc.body] : source.word)),
    [['X', 'Y\n'], ['Y', 'X\n'], 'a'],
  );
});

test('<<- drops leading tabs, and only tabs, from body and end', () => {
  const run = only('RUN <<-EOF\n\t\ta\n\t b\n  c\n\tEOF\n', 'run');
  assert.deepEqual(bodiesOf(run), ['a\n b\n  c\n']);
  const odd = only('RUN <<-EOF\n\ta\r\tb\u2028\tc\n\t\n\t\td\nEOF\n', 'run');
  assert.deepEqual(bodiesOf(odd), ['a\r\tb\u2028\tc\n\nd\n']);
});

test('a line with many blanks in it is read in about linear time', () => {
  const start = performance.now();
  only(`RUN a${' '.repeat(60_000)}b\n`, 'run');
  assert.ok(performance.now() - start < 1000);
});

test('a heredoc name with any part quoted does not expand', () => {
  for (const [name, expand] of [
    ['EOF', true],
    ["'EOF'", false],
    ['"EOF"', false],
    ["E'O'F", false],
    ["E\\'F", true],
  ] as const) {
    const run = only(`RUN <<${name}\n$x\n${name === "E\\'F" ? "E'F" : 'EOF'}\n`, 'run');
    assert.ok(run.command.form === 'shell');
    assert.equal(run.command.heredocs[0]?.expand, expand, name);
  }
});

test('the exec form holds no heredoc', () => {
  const [run, user] = instructionsOf('RUN ["<<EOF"]\nUSER x\n');
  assert.ok(run?.kind === 'run');
  assert.deepEqual(run.command, { form: 'exec', argv: ['<<EOF'] });
  assert.equal(user?.kind, 'user');
});

test('a heredoc on a continued line begins after the last of its lines', () => {
  const run = only('RUN cat <<EOF \\\n  > /x\nbody\nEOF\n', 'run');
  assert.deepEqual(run.command, {
    form: 'shell',
    text: 'cat <<EOF   > /x',
    heredocs: [{ name: 'EOF', body: 'body\n', expand: true, chomp: false }],
  });
});

test('a heredoc body keeps its CR LF, and its end may have one', () => {
  assert.deepEqual(bodiesOf(only('RUN <<EOF\r\na\r\nEOF\r\n', 'run')), ['a\r\n']);
});

test('only RUN, COPY and ADD have heredocs', () => {
  assert.deepEqual(
    instructionsOf('CMD cat <<EOF\nUSER x\n').map((instruction) => instruction.kind),
    ['cmd', 'user'],
  );
});

// The language.

test('directives end at the first line that is none', () => {
  const { syntax, escape, check } = parseDockerfile('# Syntax = docker/dockerfile:1 \n#\n# escape=`\nFROM scratch\n', 'Dockerfile');
  assert.deepEqual({ syntax, escape, check }, { syntax: 'docker/dockerfile:1', escape: '\\', check: undefined });
});

test('a comment that only looks like a directive ends them', () => {
  assert.equal(parseDockerfile('# key=value\n# escape=`\nFROM scratch\n', 'Dockerfile').escape, '\\');
});

test('the syntax is found behind a shebang', () => {
  assert.equal(parseDockerfile('#!/usr/bin/env docker-run\n# syntax=x/y\nFROM scratch\n', 'Dockerfile').syntax, 'x/y');
});

test('the check directive is kept as written', () => {
  assert.equal(parseDockerfile('# check=skip=A,B;error=true\nFROM scratch\n', 'Dockerfile').check, 'skip=A,B;error=true');
});

test('keywords may be in any case and are kept for the checks', () => {
  const user = only('uSer x\n', 'user');
  assert.equal(user.notes?.keyword, 'uSer');
});

test('FROM reads platform, image and stage name with their places', () => {
  const { from, name } =
    parseDockerfile('FROM --platform=$BUILDPLATFORM debian:12@sha256:0 as Build\n', 'Dockerfile').stages[0] ?? assert.fail();
  assert.equal(from.platform, '$BUILDPLATFORM');
  assert.equal(from.image, 'debian:12@sha256:0');
  assert.equal(from.name, 'Build');
  assert.equal(from.asKeyword, 'as');
  assert.equal(name, 'build');
  assert.equal(from.imageRange === undefined ? '' : show(from.imageRange), '1:32-1:50');
});

test('ARGs above the first FROM are global, those below belong to their stage', () => {
  const { globalArgs, stages } = parseDockerfile('ARG A=1 B\nFROM scratch\nARG C="x y"\n', 'Dockerfile');
  assert.deepEqual(
    globalArgs.map((arg) => arg.args),
    [[{ name: 'A', value: '1' }, { name: 'B' }]],
  );
  const [arg] = stages[0]?.instructions ?? [];
  assert.ok(arg?.kind === 'arg');
  assert.deepEqual(arg.args, [{ name: 'C', value: '"x y"' }]);
});

test('the old form of ENV and LABEL takes everything behind the first blanks', () => {
  assert.deepEqual(only('ENV key  a b=c "d"\n', 'env').pairs, [{ key: 'key', value: 'a b=c "d"' }]);
  assert.equal(only('LABEL key value\n', 'label').isLegacy, true);
  assert.equal(only('LABEL key=value\n', 'label').isLegacy, undefined);
});

test('a value may hold further equals signs, or nothing', () => {
  assert.deepEqual(only('ENV a=b=c d=\n', 'env').pairs, [
    { key: 'a', value: 'b=c' },
    { key: 'd', value: '' },
  ]);
});

test('JSON that does not parse is the shell form', () => {
  assert.deepEqual(only('CMD [ "a", b ]\n', 'cmd').command, { form: 'shell', text: '[ "a", b ]', heredocs: [] });
  assert.deepEqual(only("CMD ['a']\n", 'cmd').command, { form: 'shell', text: "['a']", heredocs: [] });
  assert.deepEqual(only('CMD ["a"] && b\n', 'cmd').command, { form: 'shell', text: '["a"] && b', heredocs: [] });
});

test('the exec form may be empty for CMD and ENTRYPOINT', () => {
  assert.deepEqual(only('CMD []\n', 'cmd').command, { form: 'exec', argv: [] });
  assert.deepEqual(only('ENTRYPOINT [ ]\n', 'entrypoint').command, { form: 'exec', argv: [] });
});

test('RUN reads network, security and devices', () => {
  const run = only('RUN --network=host --security=insecure --device=vendor.com/gpu=0 make\n', 'run');
  assert.equal(run.network, 'host');
  assert.equal(run.security, 'insecure');
  assert.deepEqual(
    run.devices.map((device) => device.value),
    ['vendor.com/gpu=0'],
  );
});

test('COPY reads lists in JSON form, blanks included', () => {
  const copy = only('COPY ["a b", "c", "/d e/"]\n', 'copy');
  assert.deepEqual(
    copy.sources.map((source) => (source.kind === 'word' ? source.word : '')),
    ['a b', 'c'],
  );
  assert.equal(copy.destination, '/d e/');
});

test('ADD has flags of its own, and bool flags take any case', () => {
  const add = only('ADD --checksum=sha256:00 --keep-git-dir --unpack=FALSE --exclude=*.md --exclude=doc x y\n', 'add');
  assert.equal(add.checksum?.value, 'sha256:00');
  assert.equal(add.keepGitDir, true);
  assert.equal(add.unpack, false);
  assert.deepEqual(
    add.excludes.map((exclude) => exclude.value),
    ['*.md', 'doc'],
  );
  assert.equal(only('ADD x y\n', 'add').unpack, undefined);
});

test('HEALTHCHECK reads durations as whole nanoseconds and drops zeros', () => {
  const check = only(
    'HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0 --start-interval=250ms --retries=0 CMD curl -f x\n',
    'healthcheck',
  );
  assert.equal(check.intervalNs, 90_000_000_000);
  assert.equal(check.timeoutNs, 1_500_000_000);
  assert.equal(check.startPeriodNs, undefined);
  assert.equal(check.startIntervalNs, 250_000_000);
  assert.equal(check.retries, undefined);
  assert.deepEqual(check.test, { kind: 'command', command: { form: 'shell', text: 'curl -f x', heredocs: [] } });
});

test('HEALTHCHECK NONE is read in any case', () => {
  assert.deepEqual(only('HEALTHCHECK none\n', 'healthcheck').test, { kind: 'none' });
});

test('EXPOSE and STOPSIGNAL leave words with variables for later', () => {
  assert.deepEqual(only('EXPOSE $PORTS "80" 1000-1002/UDP\n', 'expose').words, ['$PORTS', '"80"', '1000-1002/UDP']);
  assert.equal(only('STOPSIGNAL $SIG\n', 'stopsignal').word, '$SIG');
});

test('WORKDIR, USER and MAINTAINER take the rest of the line with its blanks', () => {
  assert.equal(only('WORKDIR  /a b \n', 'workdir').word, '/a b');
  assert.equal(only('MAINTAINER A B <a@b>\n', 'maintainer').word, 'A B <a@b>');
});

test('VOLUME reads words and JSON', () => {
  assert.deepEqual(only('VOLUME /a $B\n', 'volume').words, ['/a', '$B']);
  assert.deepEqual(only('VOLUME ["/a b", "/c"]\n', 'volume').words, ['/a b', '/c']);
});

test('ONBUILD keeps its instruction as text, heredocs re-attached', () => {
  assert.equal(only('ONBUILD copy --chown=1   a b\n', 'onbuild').expression, 'copy --chown=1   a b');
  assert.equal(only('ONBUILD RUN cat <<-A <<B\n\tx\nA\ny\nB\n', 'onbuild').expression, 'RUN cat <<-A <<B\n\tx\nA\ny\nB');
});

test('comments right above an instruction belong to it, blank lines and empty comments cut', () => {
  const notes = instructionsOf('# far\n\n# near\n#   nearer \nUSER a\n# x\n#\nUSER b\n').map((instruction) => instruction.notes?.comments);
  assert.deepEqual(notes, [['near', 'nearer'], []]);
});

test('ranges of a continued line point at the line a word stands on', () => {
  const copy = only('COPY \\\n  # why\n  --chown=1 \\\n  file \\\n\n  /dst\n', 'copy');
  assert.equal(show(copy.range), '2:1-7:7');
  assert.equal(copy.chown === undefined ? '' : show(copy.chown.range), '4:3-4:12');
  const [source] = copy.sources;
  assert.ok(source?.kind === 'word');
  assert.equal(show(source.range), '5:3-5:7');
});

test('a file without a final line end is read to its end', () => {
  assert.equal(only('RUN make', 'run').text, 'RUN make');
  assert.deepEqual(bodiesOf(only('RUN <<EOF\nx\nEOF', 'run')), ['x\n']);
});

test('heredocs that confuse line readers cost time by their number, not by its square', () => {
  const measure = (count: number): number => {
    const text = 'RUN echo "a <<b" \\\n  && cat <<"E F"\nx \\\nE F\n'.repeat(count);
    const start = performance.now();
    assert.equal(instructionsOf(text).length, count);
    return performance.now() - start;
  };
  measure(50);
  const few = measure(100);
  assert.ok(measure(800) < few * 30, 'asking anew must not read the whole rest each time');
});

// Triggers of a base image.

const origin: SourceRange = { start: { line: 7, column: 1 }, end: { line: 7, column: 9 } };

test('parseOnbuild() reads one instruction and gives it the place of its FROM', () => {
  const run = parseOnbuild('RUN <<EOF\nmake\nEOF', origin);
  assert.deepEqual(bodiesOf(run), ['make\n']);
  assert.equal(run.range, origin);
});

test('parseOnbuild() gives flags the same place', () => {
  const copy = parseOnbuild('COPY --from=build /a /b', origin);
  assert.ok(copy.kind === 'copy');
  assert.equal(copy.from?.range, origin);
});

for (const [expression, message] of [
  ['RUM make', /^Cannot use ONBUILD trigger "RUM make" of the base: Cannot parse RUM: unknown instruction$/],
  ['', /it must be one instruction, not none$/],
  ['RUN a\nRUN b', /it must be one instruction, not several$/],
  ['FROM x', /it can't be FROM$/],
  ['ONBUILD RUN x', /it can't be ONBUILD$/],
  ['MAINTAINER x', /it can't be MAINTAINER$/],
  ['RUN <<EOF', /Cannot parse heredoc EOF: its end is missing$/],
] as const) {
  test(`parseOnbuild() refuses ${JSON.stringify(expression)} and points at the FROM`, () => {
    assert.throws(
      () => parseOnbuild(expression, origin),
      (error) => {
        assert.ok(error instanceof DockerfileError);
        assert.match(error.message, message);
        assert.equal(error.range, origin);
        return true;
      },
    );
  });
}

test('parseDockerfile() refuses more than a million lines, each of which is many times its text in memory', () => {
  assert.throws(() => parseDockerfile('\n'.repeat(1_000_001), 'Dockerfile'), /Cannot parse the Dockerfile: it has more than 1000000 lines/);
});
