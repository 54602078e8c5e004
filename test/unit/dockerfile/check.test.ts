import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuilderError, DockerfileError } from '../../../src/errors.ts';
import { checkDockerfile, checkFailure, readCheckConfig, type Violation } from '../../../src/dockerfile/check.ts';
import { type RuleName, rules, ruleUrl } from '../../../src/dockerfile/check-rules.ts';
import type { CheckOptions } from '../../../src/dockerfile/check-scope.ts';
import { parseDockerfile } from '../../../src/dockerfile/parse.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const defaults: CheckOptions = { buildArgs: new Map(), targetPlatform: amd64, buildPlatform: amd64 };

function check(text: string, options: Partial<CheckOptions> = {}): readonly Violation[] {
  return checkDockerfile(parseDockerfile(text, 'Dockerfile'), { ...defaults, ...options });
}

interface Row {
  readonly rule: RuleName;
  readonly when: string;
  readonly text: string;
  /** `line: message` of every violation of the rule; none for a file the rule has nothing against. */
  readonly found: readonly string[];
  readonly options?: Partial<CheckOptions>;
}

const node = new Map([['NODE_VERSION', '26']]);
const ignored: Partial<CheckOptions> = { isIgnored: (path) => path.startsWith('secret') || path.endsWith('.log') };
const experimental = '# check=experimental=InvalidDefinitionDescription\n';

const rows: readonly Row[] = [
  {
    rule: 'ConsistentInstructionCasing',
    when: 'a keyword is mixed',
    text: 'FROM a\nRun x\n',
    found: ["2: Command 'Run' should match the case of the command majority (uppercase)"],
  },
  {
    rule: 'ConsistentInstructionCasing',
    when: 'most are lower case',
    text: 'from a\nrun x\nUSER y\n',
    found: ["3: Command 'USER' should match the case of the command majority (lowercase)"],
  },
  {
    rule: 'ConsistentInstructionCasing',
    when: 'it is a tie',
    text: 'from a\nRUN x\n',
    found: ["1: Command 'from' should match the case of the command majority (uppercase)"],
  },
  { rule: 'ConsistentInstructionCasing', when: 'all are lower case', text: 'from a\nrun x\n', found: [] },
  { rule: 'ConsistentInstructionCasing', when: 'only a global ARG differs', text: 'arg A=1\nFROM a\nRUN x\n', found: [] },

  {
    rule: 'CopyIgnoredFile',
    when: 'a source is excluded',
    text: 'FROM a\nCOPY ok ./secret.txt /x/\nADD x.log /\n',
    options: ignored,
    found: [
      '2: Attempting to Copy file "secret.txt" that is excluded by .dockerignore',
      '3: Attempting to Add file "x.log" that is excluded by .dockerignore',
    ],
  },
  {
    rule: 'CopyIgnoredFile',
    when: 'a variable holds the source',
    text: 'FROM a\nARG F=secret\nCOPY $F /x\n',
    options: ignored,
    found: ['3: Attempting to Copy file "secret" that is excluded by .dockerignore'],
  },
  {
    rule: 'CopyIgnoredFile',
    when: 'the source is a stage, a URL, a heredoc or the whole context',
    text: 'FROM a AS b\nFROM a\nCOPY --from=b secret /x\nADD https://x/y.log /\nADD git@x:secret.log /\nCOPY <<secret /x\nsecret\nCOPY . /x\n',
    options: ignored,
    found: [],
  },
  { rule: 'CopyIgnoredFile', when: 'there is no usable .dockerignore', text: 'FROM a\nCOPY secret /x\n', found: [] },

  {
    rule: 'DuplicateStageName',
    when: 'two stages share a name',
    text: 'FROM a AS x\nFROM b AS X\n',
    found: ['2: Duplicate stage name "x", stage names should be unique'],
  },
  { rule: 'DuplicateStageName', when: 'names differ or are absent', text: 'FROM a AS x\nFROM b AS y\nFROM c\nFROM d\n', found: [] },

  {
    rule: 'ExposeInvalidFormat',
    when: 'a host part is given',
    text: 'FROM a\nEXPOSE 80 127.0.0.1:80:80 5000:5000/tcp\n',
    found: [
      "2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
      "2: EXPOSE instruction should not define an IP address or host-port mapping, found '5000:5000/tcp'",
    ],
  },
  { rule: 'ExposeInvalidFormat', when: 'only ports are given', text: 'FROM a\nENV P="80 90-95/udp"\nEXPOSE $P 1\n', found: [] },

  {
    rule: 'ExposeProtoCasing',
    when: 'the protocol is in upper case',
    text: 'FROM a\nENV P=53/UDP\nEXPOSE 80/tcp $P\n',
    found: ["3: Defined protocol '53/UDP' in EXPOSE instruction should be lowercase"],
  },
  { rule: 'ExposeProtoCasing', when: 'it is in lower case or absent', text: 'FROM a\nEXPOSE 80/tcp 90\n', found: [] },

  { rule: 'FromAsCasing', when: 'as and FROM differ', text: 'FROM a as x\n', found: ["1: 'as' and 'FROM' keywords' casing do not match"] },
  { rule: 'FromAsCasing', when: 'AS and from differ', text: 'from a AS x\n', found: ["1: 'AS' and 'from' keywords' casing do not match"] },
  { rule: 'FromAsCasing', when: 'they agree, or FROM is mixed itself', text: 'FROM a AS x\nfrom a as y\nFrom a aS z\n', found: [] },

  {
    rule: 'FromPlatformFlagConstDisallowed',
    when: 'the platform is a constant',
    text: 'FROM --platform=linux/amd64 a\n',
    found: ['1: FROM --platform flag should not use constant value "linux/amd64"'],
  },
  {
    rule: 'FromPlatformFlagConstDisallowed',
    when: 'one word names the architecture',
    text: 'FROM --platform=aarch64 a AS x\n',
    found: ['1: FROM --platform flag should not use constant value "aarch64"'],
  },
  {
    rule: 'FromPlatformFlagConstDisallowed',
    when: 'the stage is named after it, or it is a variable',
    text: 'FROM --platform=linux/amd64 a AS build-amd64\nFROM --platform=arm64 a AS linux\nFROM --platform=$BUILDPLATFORM a\nFROM --platform=$NOPE a\nFROM --platform=no/such/thing/x a\n',
    found: [],
  },

  {
    rule: 'InvalidBaseImagePlatform',
    when: 'the base is for another platform',
    text: 'FROM a\nFROM b\n',
    options: { basePlatform: (image) => (image === 'a' ? arm64 : amd64) },
    found: ['1: Base image a was pulled with platform "linux/arm64", expected "linux/amd64" for current build'],
  },
  {
    rule: 'InvalidBaseImagePlatform',
    when: 'it is not the platform that FROM asks for',
    text: 'FROM --platform=$BUILDPLATFORM a\nFROM --platform=linux/aarch64 a AS arm64\nFROM --platform=arm64 b AS arm64-2\n',
    options: { basePlatform: (image) => (image === 'a' ? arm64 : amd64) },
    found: [
      '1: Base image a was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
      '3: Base image b was pulled with platform "linux/amd64", expected "arm64" for current build',
    ],
  },
  {
    rule: 'InvalidBaseImagePlatform',
    when: 'the platform is unknown, or there is no image',
    text: 'FROM a AS s\nFROM b\nFROM s\nFROM scratch\n',
    options: { basePlatform: (image) => (image === 'b' ? undefined : amd64) },
    found: [],
  },

  {
    rule: 'InvalidDefaultArgInFrom',
    when: 'a default is missing',
    text: 'ARG TAG\nARG IMAGE\nFROM busybox:${TAG}\nFROM $IMAGE\nARG x\nFROM ${IMAGE}/Bad\n',
    options: {
      buildArgs: new Map([
        ['TAG', '1'],
        ['IMAGE', 'x'],
      ]),
    },
    found: [
      '3: Default value for ARG busybox:${TAG} results in empty or invalid base image name',
      '4: Default value for ARG $IMAGE results in empty or invalid base image name',
      '6: Default value for ARG ${IMAGE}/Bad results in empty or invalid base image name',
    ],
  },
  {
    rule: 'InvalidDefaultArgInFrom',
    when: 'defaults make a name',
    text: 'ARG TAG=1\nFROM busybox:${TAG}\nFROM localhost:5000/a/b_c:V-1@sha256:0123456789012345678901234567890123456789012345678901234567890123\nFROM [::1]:5000/x\nFROM Registry.example/x\nFROM x${SUFFIX:-}\n',
    found: [],
  },
  {
    rule: 'InvalidDefaultArgInFrom',
    when: 'it is a stage with upper case in its name, or has no ARG at all',
    text: 'ARG B=Base\nFROM a AS Base\nFROM Base AS x\nFROM $B AS y\nFROM Other\n',
    found: [],
  },

  {
    rule: 'InvalidDefinitionDescription',
    when: 'the comment describes something else',
    text: `${experimental}# builds it\nARG A=1\n# other words\nFROM a AS base\n# y z\nARG x y2\n`,
    found: [
      '3: Comment for ARG should follow the format: `# A <description>`',
      '5: Comment for FROM should follow the format: `# base <description>`',
      '7: Comment for ARG should follow the format: `# <arg_key> <description>`',
    ],
  },
  {
    rule: 'InvalidDefinitionDescription',
    when: 'the comment fits, is apart, or nothing is defined',
    text: `${experimental}# A is it\nARG A=1\n# apart\n\nFROM a AS base\n# cut\n#\nARG x\n# any\nRUN y\n# plain\nFROM b\n`,
    found: [],
  },
  { rule: 'InvalidDefinitionDescription', when: 'nobody asked for it', text: '# builds it\nARG A=1\nFROM a\n', found: [] },

  {
    rule: 'JSONArgsRecommended',
    when: 'a command is in shell form',
    text: 'FROM a\nCMD x\nentrypoint y\n',
    found: [
      '2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals',
      '3: JSON arguments recommended for entrypoint to prevent unintended behavior related to OS signals',
    ],
  },
  {
    rule: 'JSONArgsRecommended',
    when: 'it is JSON, or SHELL was set here or in the base stage',
    text: 'FROM a AS b\nCMD ["x"]\nSHELL ["/bin/bash", "-c"]\nCMD x\nFROM b AS c\nFROM c\nENTRYPOINT y\nHEALTHCHECK CMD z\n',
    found: [],
  },

  {
    rule: 'LegacyKeyValueFormat',
    when: 'the equals sign is missing',
    text: 'FROM a\nENV A b\nlabel x y\n',
    found: [
      '2: "ENV key=value" should be used instead of legacy "ENV key value" format',
      '3: "label key=value" should be used instead of legacy "label key value" format',
    ],
  },
  { rule: 'LegacyKeyValueFormat', when: 'it is there', text: 'FROM a\nENV A=b\nLABEL x="y z"\n', found: [] },

  {
    rule: 'MaintainerDeprecated',
    when: 'MAINTAINER is used',
    text: 'FROM a\nMAINTAINER me\n',
    found: ['2: Maintainer instruction is deprecated in favor of using label'],
  },
  { rule: 'MaintainerDeprecated', when: 'a label is used', text: 'FROM a\nLABEL org.opencontainers.image.authors=me\n', found: [] },

  {
    rule: 'MultipleInstructionsDisallowed',
    when: 'a second one wins',
    text: 'FROM a\nCMD ["x"]\nCMD ["y"]\nCMD ["z"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nENTRYPOINT ["a"]\nENTRYPOINT ["b"]\n',
    found: [
      '2: Multiple CMD instructions should not be used in the same stage because only the last one will be used',
      '3: Multiple CMD instructions should not be used in the same stage because only the last one will be used',
      '5: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used',
      '7: Multiple ENTRYPOINT instructions should not be used in the same stage because only the last one will be used',
    ],
  },
  {
    rule: 'MultipleInstructionsDisallowed',
    when: 'they are of different stages or kinds',
    text: 'FROM a AS b\nCMD ["x"]\nENTRYPOINT ["y"]\nFROM b\nCMD ["z"]\nUSER a\nUSER b\n',
    found: [],
  },

  {
    rule: 'NoEmptyContinuation',
    when: 'a continued line is blank',
    text: 'FROM a\nRUN x \\\n\n  && y\n',
    found: ['2: Empty continuation line'],
  },
  { rule: 'NoEmptyContinuation', when: 'only comments stand between', text: 'FROM a\nRUN x \\\n# here\n  && y\n\nUSER z\n', found: [] },

  {
    rule: 'RedundantTargetPlatform',
    when: 'the default is spelled out',
    text: 'FROM --platform=$TARGETPLATFORM a\nFROM --platform=${TARGETPLATFORM} b\n',
    found: [
      '1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
      '2: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior',
    ],
  },
  {
    rule: 'RedundantTargetPlatform',
    when: 'another platform is meant',
    text: 'FROM --platform=$BUILDPLATFORM a\nFROM --platform=linux/$TARGETARCH b\n',
    found: [],
  },

  {
    rule: 'ReservedStageName',
    when: 'a stage is called scratch or context',
    text: 'FROM a AS scratch\nFROM b AS Context\n',
    found: [
      '1: Stage name should not use the same name as reserved stage "scratch"',
      '2: Stage name should not use the same name as reserved stage "context"',
    ],
  },
  { rule: 'ReservedStageName', when: 'it only holds the word', text: 'FROM a AS scratch2\nFROM scratch\n', found: [] },

  {
    rule: 'SecretsUsedInArgOrEnv',
    when: 'a name looks like a secret',
    text: 'ARG GITHUB_TOKEN\nFROM a\nENV AWS_SECRET_ACCESS_KEY=x\nARG a password=b\n',
    found: [
      '3: Do not use ARG or ENV instructions for sensitive data (ENV "AWS_SECRET_ACCESS_KEY")',
      '4: Do not use ARG or ENV instructions for sensitive data (ARG "password")',
    ],
  },
  {
    rule: 'SecretsUsedInArgOrEnv',
    when: 'it only sounds like one, says where it is, or stands above FROM',
    text: 'ARG API_TOKEN\nFROM a\nENV AUTHOR=x KEYBOARD=us TOKENIZER=z PUBLIC_KEY=1 PASSWORD_FILE=/x KEY_VERSION=2\nLABEL token=x\n',
    found: [],
  },

  { rule: 'StageNameCasing', when: 'a name has upper case', text: 'FROM a AS Base\n', found: ["1: Stage name 'Base' should be lowercase"] },
  { rule: 'StageNameCasing', when: 'it has none', text: 'FROM a AS base-1\n', found: [] },

  {
    rule: 'UndefinedArgInFrom',
    when: 'FROM uses what nobody declared',
    text: 'ARG VERSION=1\nFROM --platform=$BULDPLATFORM a:${VERSON}\n',
    found: [
      "2: FROM argument 'VERSON' is not declared (did you mean VERSION?)",
      "2: FROM argument 'BULDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
    ],
  },
  { rule: 'UndefinedArgInFrom', when: 'nothing is near', text: 'FROM a$Q\n', found: ["1: FROM argument 'Q' is not declared"] },
  {
    rule: 'UndefinedArgInFrom',
    when: 'it is declared, with a value or without, or automatic',
    text: 'ARG A\nARG B=1\nFROM x$A$B-$TARGETARCH\n',
    found: [],
  },

  {
    rule: 'UndefinedVar',
    when: 'nothing defines the name',
    text: 'FROM scratch\nCOPY $foo .\nWORKDIR /$PAHT\n',
    found: ["2: Usage of undefined variable '$foo'", "3: Usage of undefined variable '$PAHT' (did you mean $PATH?)"],
  },
  {
    rule: 'UndefinedVar',
    when: 'it stands in any place the builder expands',
    text: 'FROM scratch\nARG a=$q1\nENV b=$q2 $q3=c\nLABEL d=$q4\nUSER $q5\nEXPOSE 1\nVOLUME ["$q7"]\nSTOPSIGNAL $q8\nCOPY --chown=$q9 x y\nCOPY <<E /x\n$q10\nE\nRUN --mount=type=cache,target=$q11 x\nADD --checksum=$q12 x y\n',
    found: ['2: q1', '3: q2', '3: q3', '4: q4', '5: q5', '7: q7', '8: q8', '9: q9', '10: q10', '13: q11', '14: q12'].map((row) =>
      row.replace(/(\d+): (\w+)/, "$1: Usage of undefined variable '$$$2'"),
    ),
  },
  {
    rule: 'UndefinedVar',
    when: 'the shell expands it, or it is declared above, here, globally or in the base',
    text: "ARG G=1\nFROM scratch AS base\nARG known\nENV e=1\nFROM base\nARG G unset\nARG TARGETARCH\nENV x=$known$e$G$unset$TARGETARCH$PATH\nRUN echo $nope\nCMD echo $nope\nCOPY <<'E' /x\n$nope\nE\nHEALTHCHECK CMD $nope\nEXPOSE $nope\nONBUILD COPY $nope /\nENV y='$nope' z=\\$nope\n",
    found: [],
  },
  {
    rule: 'UndefinedVar',
    when: 'an ARG is used before its line',
    text: 'FROM scratch\nENV x=$late\nARG late\n',
    found: ["2: Usage of undefined variable '$late'"],
  },
  {
    rule: 'UndefinedVar',
    when: 'an ARG is used by those before it on its line, but not by those behind it',
    text: 'FROM scratch\nARG a=$later later=1 b=$a c=$later\nENV x=$b$c\n',
    found: ["2: Usage of undefined variable '$later'"],
  },
  {
    rule: 'UndefinedVar',
    when: 'the environment of the base image is known',
    text: 'FROM node\nENV x=$NODE_VERSION y=$NOPE\n',
    options: { baseEnvironment: () => node },
    found: ["2: Usage of undefined variable '$NOPE'"],
  },
  {
    rule: 'UndefinedVar',
    when: 'the base image is unknown, where only a likely slip counts',
    text: 'FROM node\nARG VERSION=1\nENV x=$NODE_VERSION\nENV y=$VERSON\n',
    found: ["4: Usage of undefined variable '$VERSON' (did you mean $VERSION?)"],
  },

  {
    rule: 'WorkdirRelativePath',
    when: 'the first directory is relative',
    text: 'FROM a\nENV D=app\nWORKDIR ${D}\nWORKDIR sub\n',
    found: ['3: Relative workdir "app" can have unexpected results if the base image changes'],
  },
  {
    rule: 'WorkdirRelativePath',
    when: 'an absolute one stands above, in this file',
    text: 'FROM a AS b\nWORKDIR /x\nWORKDIR y\nFROM b\nWORKDIR z\n',
    found: [],
  },
];

for (const { rule, when, text, options, found } of rows) {
  test(`${rule} finds ${found.length === 0 ? 'nothing' : found.length} when ${when}`, () => {
    const violations = check(text, options).filter((violation) => violation.rule === rule);
    assert.deepEqual(
      violations.map((violation) => `${violation.range.start.line}: ${violation.message}`),
      found,
    );
  });
}

test('every rule has a file it finds something in and one it does not', () => {
  for (const name of Object.keys(rules)) {
    const own = rows.filter((row) => row.rule === name);
    assert.ok(
      own.some((row) => row.found.length > 0),
      `${name} never finds anything`,
    );
    assert.ok(
      own.some((row) => row.found.length === 0),
      `${name} always finds something`,
    );
  }
});

test('there are the 22 rules of docker/dockerfile 1.26, each with its page', () => {
  assert.equal(Object.keys(rules).length, 22);
  assert.equal(ruleUrl('JSONArgsRecommended'), 'https://docs.docker.com/go/dockerfile/rule/json-args-recommended/');
  assert.equal(ruleUrl('SecretsUsedInArgOrEnv'), 'https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/');
  assert.equal(
    ruleUrl('FromPlatformFlagConstDisallowed'),
    'https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/',
  );
  assert.equal(ruleUrl('UndefinedVar'), 'https://docs.docker.com/go/dockerfile/rule/undefined-var/');
});

test('a clean Dockerfile has no violations', () => {
  assert.deepEqual(
    check('FROM debian:12 AS build\nWORKDIR /app\nCOPY . .\nRUN make\nFROM scratch\nCOPY --from=build /app /app\nCMD ["/app/run"]\n'),
    [],
  );
});

test('violations come in the order of the file, whichever rule found them', () => {
  const lines = check('FROM a as X\nMAINTAINER b\nENV A b\nCMD x\n').map((violation) => [violation.range.start.line, violation.rule]);
  assert.deepEqual(lines, [
    [1, 'FromAsCasing'],
    [1, 'StageNameCasing'],
    [2, 'MaintainerDeprecated'],
    [3, 'LegacyKeyValueFormat'],
    [4, 'JSONArgsRecommended'],
  ]);
});

const twoFindings = 'FROM a as x\nMAINTAINER b\n';
const namesOf = (violations: readonly Violation[]): readonly string[] => violations.map((violation) => violation.rule);

test('the check directive skips rules by name, or all', () => {
  assert.deepEqual(namesOf(check(`# check=skip=FromAsCasing, Other\n${twoFindings}`)), ['MaintainerDeprecated']);
  assert.deepEqual(check(`# check=skip=all\n${twoFindings}`), []);
});

test('BUILDKIT_DOCKERFILE_CHECK replaces the directive', () => {
  const buildArgs = new Map([['BUILDKIT_DOCKERFILE_CHECK', 'skip=MaintainerDeprecated;error=true']]);
  const text = `# check=skip=all\n${twoFindings}`;
  assert.deepEqual(namesOf(check(text, { buildArgs })), ['FromAsCasing']);
  assert.equal(readCheckConfig(parseDockerfile(text, 'Dockerfile'), buildArgs).isError, true);
});

test('a check comment skips rules for the instruction right below it only', () => {
  const text = 'FROM a\n# check=skip=LegacyKeyValueFormat\n# about A\nENV A b\nENV C d\n';
  assert.deepEqual(
    check(text).map((violation) => violation.range.start.line),
    [5],
  );
  assert.deepEqual(check('FROM a\n# check=skip=all\n\nENV A b\n').length, 1);
});

test('a check comment may switch an experimental rule on for one instruction', () => {
  const text = '# check=experimental=all\nFROM a\n# words\nARG x\n';
  assert.deepEqual(namesOf(check(text)), ['InvalidDefinitionDescription']);
  assert.deepEqual(namesOf(check('FROM a\n# check=experimental=InvalidDefinitionDescription\n# words\nARG x\n# words\nARG y\n')), [
    'InvalidDefinitionDescription',
  ]);
});

for (const option of ['skip', 'skip=A;eror=true', 'error=maybe', 'error=']) {
  test(`the check option ${option} is refused at its line`, () => {
    assert.throws(
      () => check(`# syntax=x\n# check=${option}\nFROM a\n`),
      (error) => error instanceof DockerfileError && error.range.start.line === 2 && error.message.startsWith('Cannot use check option "'),
    );
  });
}

test('a bad BUILDKIT_DOCKERFILE_CHECK is refused without a place', () => {
  assert.throws(
    () => check('FROM a\n', { buildArgs: new Map([['BUILDKIT_DOCKERFILE_CHECK', 'x']]) }),
    (error) => error instanceof BuilderError && !(error instanceof DockerfileError),
  );
});

test('error=true makes violations fail the build, naming each rule once', () => {
  const dockerfile = parseDockerfile(`# check=error=true\n${twoFindings}MAINTAINER c\n`, 'Dockerfile');
  const violations = checkDockerfile(dockerfile, defaults);
  const failure = checkFailure(violations, readCheckConfig(dockerfile, new Map()));
  assert.equal(failure?.message, 'Cannot build: lint violation found for rules: FromAsCasing, MaintainerDeprecated');
  assert.equal(checkFailure([], readCheckConfig(dockerfile, new Map())), undefined);
  assert.equal(checkFailure(violations, { skip: new Set(), experimental: new Set(), isError: false }), undefined);
});

test('a word that can not be expanded is left to the build', () => {
  assert.deepEqual(check('FROM scratch\nENV a=${b\nEXPOSE ${c\nCOPY <<E /x\n${d\nE\n'), []);
});

for (const [what, line] of [
  ['variables', (index: number): string => `ENV v${index}=$v${index - 1}`],
  ['arguments', (index: number): string => `ARG v${index}=$v${index - 1}`],
  [
    'variables with names of 8 KB',
    (index: number): string => (index < 20 ? `ENV v${'a'.repeat(8000)}${index}=$w${'b'.repeat(8000)}${index}` : ''),
  ],
] as const) {
  test(`checkDockerfile() takes many ${what} in about linear time`, () => {
    const text = ['FROM scratch', 'ENV v0=0', ...Array.from({ length: 20_000 }, (_, index) => line(index + 1))].join('\n');
    const start = performance.now();
    assert.ok(check(text).every(({ rule }) => rule === 'UndefinedVar'));
    assert.ok(performance.now() - start < 15_000, `it took ${performance.now() - start} ms`);
  });
}

test('checkDockerfile() takes 20,000 stages that begin with each other', () => {
  const text = [
    'FROM scratch AS s0',
    'SHELL ["/bin/x"]',
    'WORKDIR /w',
    ...Array.from({ length: 20_000 }, (_, index) => `FROM s${index} AS s${index + 1}`),
  ];
  assert.deepEqual(check([...text, 'WORKDIR below', 'CMD run'].join('\n')), []);
});
