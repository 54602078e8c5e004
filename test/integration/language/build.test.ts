// A build as a whole: what it tells, what it reads, and what it leaves.
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { BuildPorts } from '../../../src/build/ports.ts';
import { BuilderError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Layer } from '../../../src/oci/image.ts';
import { readLayout } from '../../../src/store/oci-layout.ts';
import type { BuildEvent } from '../../../src/events.ts';
import { buildInRoot } from '../../support/build-in-root.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const baseLayout = join(import.meta.dirname, '../../conformance/base');
const whyNot = process.getuid?.() === 0 ? false : 'needs root for chroot and owners';

function messages(events: readonly BuildEvent[], kind: 'note' | 'warning' | 'plan'): readonly string[] {
  return events.flatMap((event) => (event.kind === kind ? [event.message] : []));
}

function unpacked(events: readonly BuildEvent[]): number {
  return events.filter((event) => event.kind === 'unpack.finished').length;
}

describe('what a build tells', { skip: whyNot, timeout: 120_000 }, () => {
  test('--dryrun prints the plan and touches nothing', async () => {
    const dockerfile = 'FROM base AS one\nRUN make\nFROM base AS unused\nFROM one\nCOPY --from=one /a /b\nADD https://u:p@h/f /\n';
    const { events, image, layersRead, leftovers } = await buildInRoot(dockerfile, { request: { planOnly: true } });
    assert.deepEqual(messages(events, 'plan'), [
      'stage one: FROM base (linux/amd64)',
      '  RUN make',
      'stage 2: FROM stage one (linux/amd64), the image',
      '  COPY --from=one /a /b',
      '  ADD https://xxxxx:xxxxx@h/f /',
      'not needed: unused',
      'push registry.example/a:1',
    ]);
    assert.deepEqual([image, layersRead, leftovers], [undefined, 0, []]);
  });

  test('KANIKO_PRINT_PLAN prints the plan and builds', async () => {
    const { events, image } = await buildInRoot('FROM scratch\nENV A=1\n', { request: { printsPlan: true } });
    assert.ok(messages(events, 'plan').includes('  ENV A=1'));
    assert.notEqual(image, undefined);
  });

  test('a --build-arg that no ARG declares is named', async () => {
    const buildArgs = new Map([
      ['VERSON', '1'],
      ['USED', '1'],
      ['http_proxy', 'p'],
      ['TARGETARCH', 'arm'],
      ['BUILDKIT_INLINE_CACHE', '1'],
    ]);
    const { events } = await buildInRoot('ARG USED\nFROM scratch\nARG VERSION\n', { request: { buildArgs } });
    assert.deepEqual(messages(events, 'warning'), ['--build-arg VERSON is not used: no ARG declares it (did you mean VERSION?)']);
    assert.deepEqual(messages(events, 'note'), ['--build-arg BUILDKIT_INLINE_CACHE changes nothing: the image carries no cache']);
  });

  test('a # syntax that is no docker/dockerfile is not taken in silence', async () => {
    const { events } = await buildInRoot('# syntax=example.com/other\nFROM scratch\n');
    assert.match(messages(events, 'warning')[0] ?? '', /^# syntax=example\.com\/other is not pulled/);
    const plain = await buildInRoot('# syntax=docker/dockerfile:1-labs\nFROM scratch\n');
    assert.deepEqual(messages(plain.events, 'warning'), []);
  });
});

describe('what a build refuses before it reads a base', { skip: whyNot, timeout: 120_000 }, () => {
  const rows = [
    { name: 'a RUN without a network of its own under --network=none', dockerfile: 'RUN true', network: 'none' as const },
    { name: 'RUN --network=none', dockerfile: 'RUN --network=none true', network: 'default' as const },
    { name: 'RUN --security=insecure', dockerfile: 'RUN --security=insecure true', network: 'default' as const },
    { name: 'RUN --device that is required', dockerfile: 'RUN --device=a.com/b,required true', network: 'default' as const },
  ];
  for (const { name, dockerfile, network } of rows) {
    test(name, async () => {
      const { error, layersRead } = await buildInRoot(`FROM base\n${dockerfile}\n`, { request: { network } });
      assert.ok(error instanceof BuilderError);
      assert.deepEqual([error.code, error.range?.start], ['ERR_UNSUPPORTED', { line: 2, column: 1 }]);
      assert.equal(layersRead, 0);
    });
  }
});

describe('what is read and unpacked of a base', { skip: whyNot, timeout: 120_000 }, () => {
  const rows: readonly (readonly [title: string, dockerfile: string, reads: boolean, unpacks: number])[] = [
    ['settings', 'FROM base\nENV A=b\nLABEL c=d\nUSER x\nCMD ["y"]\n', false, 0],
    ['a linked copy', 'FROM base\nCOPY --link <<a /a\nx\na\n', false, 0],
    ['a copy', 'FROM base\nCOPY <<a /a\nx\na\n', true, 0],
    ['a working directory of a user', 'FROM base\nUSER 5\nWORKDIR /a/b\n', true, 0],
    ['a stage of copies that another copies from', 'FROM base AS a\nCOPY <<a /a\nx\na\nFROM scratch\nCOPY --from=a /etc /a /\n', true, 0],
    ['an image that is only copied from', 'FROM scratch\nCOPY --from=base /etc/passwd /\n', true, 0],
    ['a command after settings', 'FROM base\nENV A=b\nRUN true\n', true, 1],
    ['commands around a copy', 'FROM base\nRUN true\nCOPY <<a /a\nx\na\nRUN test -e /a\n', true, 2],
  ];
  for (const [title, dockerfile, reads, unpacks] of rows) {
    test(`${title}: ${reads ? 'once' : 'nothing'}, and ${unpacks === 0 ? 'nothing is' : 'it is'} unpacked`, async () => {
      const { events, error, layersRead, leftovers } = await buildInRoot(dockerfile);
      assert.equal(error, undefined);
      assert.deepEqual([layersRead > 0, unpacked(events), leftovers.length > 0], [reads, unpacks, unpacks > 0]);
      const once = await buildInRoot('FROM base\nRUN true\n');
      if (reads) assert.equal(layersRead, once.layersRead);
    });
  }
});

describe('how stages follow each other', { skip: whyNot, timeout: 120_000 }, () => {
  test('a base of several stages is read once, and not unpacked again where the root has it', async () => {
    const { layersRead } = await buildInRoot('FROM base\nRUN true\n');
    assert.ok(layersRead > 0);
    const once = await buildInRoot('FROM base AS one\nENV A=1\nFROM other AS two\nENV B=1\nRUN true\n', {
      request: { targets: ['one', 'two'] },
    });
    assert.equal(once.error, undefined);
    assert.deepEqual([once.layersRead, unpacked(once.events)], [layersRead, 1]);
    const changed = await buildInRoot('FROM base AS one\nRUN echo x > /x\nFROM base\nRUN test ! -e /x\nCOPY --from=one /x /y\n');
    assert.equal(changed.error, undefined);
    assert.deepEqual([changed.layersRead, unpacked(changed.events)], [layersRead, 1]);
  });

  test('the bases of later stages are downloaded while the first one is built, and one that fails is told of by who needs it', async () => {
    const order: string[] = [];
    const plain = await readLayout({ folder: baseLayout, tag: 'base' }, platform, new AbortController().signal);
    const resolveImage: BuildPorts['resolveImage'] = async (name) => {
      const open =
        (layer: Layer): Layer['open'] =>
        (signal) => {
          order.push(name);
          return name === 'broken' ? Readable.from([Buffer.from('x')], { objectMode: false }) : layer.open(signal);
        };
      // Another digest, so that it counts as another layer.
      const renamed = (layer: Layer): Layer =>
        name === 'base' ? layer : { ...layer, descriptor: { ...layer.descriptor, digest: digestOf(Buffer.from(name)) } };
      return await Promise.resolve({
        ...plain.image,
        layers: plain.image.layers.map((layer) => ({ ...renamed(layer), open: open(layer) })),
      });
    };
    const emit = (event: BuildEvent): void => void (event.kind === 'stage.finished' && order.push(`${event.stage} is built`));
    const text = 'FROM base AS one\nRUN true\nFROM other AS two\nRUN true\nFROM one\nCOPY --from=two /etc/passwd /p\n';
    await buildInRoot(text, { ports: { resolveImage, emit } });
    assert.ok(order.includes('other') && order.indexOf('other') < order.indexOf('one is built'), order.join(', '));
    const { error } = await buildInRoot('FROM base AS one\nRUN true\nFROM broken\nCOPY --from=one /etc/passwd /p\nRUN true\n', {
      ports: { resolveImage },
    });
    assert.ok(error instanceof BuilderError);
    assert.match(error.message, /broken/);
  });

  test('nothing of one stage is left in the next', async () => {
    const { error } = await buildInRoot(
      'FROM base AS one\nRUN mkdir -p /deep/er && echo x > /deep/er/x && echo changed > /etc/passwd && rm /bin/ls && chmod 700 /tmp\n' +
        'FROM base AS two\nRUN test ! -e /deep && grep -q root /etc/passwd && ls / >/dev/null && test "$(stat -c %a /tmp)" = 1777\n' +
        'FROM two\nCOPY --from=one /deep /deep\nRUN test -f /deep/er/x\n',
    );
    assert.equal(error, undefined);
  });

  test('of several targets the first is the image, and all are built', async () => {
    const dockerfile =
      'FROM base AS one\nARG TARGETSTAGE\nLABEL stage=$TARGETSTAGE\nFROM base AS two\nRUN echo two\nFROM base\nRUN false\n';
    const { image, error, events } = await buildInRoot(dockerfile, { request: { targets: ['one', 'two'] } });
    assert.equal(error, undefined);
    assert.equal(image?.config.config.labels.get('stage'), 'one');
    assert.ok(events.some((event) => event.kind === 'output' && event.line === 'two'));
  });

  for (const alwaysUnpack of [false, true]) {
    test(`a RUN has a layer unless its stage is only read${alwaysUnpack ? '; with --materialize in any case' : ''}`, async () => {
      const stages = ['AS read\nRUN echo 1 > /one', 'AS begun\nRUN echo 2 > /two', 'AS target\nRUN echo 3 > /three'];
      const dockerfile = `${stages.map((stage) => `FROM base ${stage}\n`).join('')}FROM begun\nCOPY --from=read /one /\nCOPY --from=target /three /\n`;
      const { error, events, image } = await buildInRoot(dockerfile, { request: { alwaysUnpack, targets: ['3', 'target'] } });
      assert.equal(error, undefined);
      const without = events.flatMap((event) => (event.kind === 'step.finished' && event.layer === undefined ? [event.step.stage] : []));
      assert.deepEqual(without, alwaysUnpack ? [] : ['read']);
      assert.equal(image?.layers.length, 4);
    });
  }

  test('--single-snapshot makes one layer of the image, also where it is not the last stage built', async () => {
    const dockerfile = 'FROM scratch AS one\nWORKDIR /a\nWORKDIR /b\nFROM scratch AS two\nWORKDIR /c\n';
    const { image } = await buildInRoot(dockerfile, { request: { targets: ['one', 'two'], merges: 'new' } });
    assert.equal(image?.layers.length, 1);
  });

  for (const singleSnapshot of [false, true]) {
    const name = singleSnapshot ? 'with' : 'without';
    test(`a secret in a file is told of and history is in the Dockerfile's order, ${name} --single-snapshot`, async () => {
      const dockerfile =
        'FROM base\nENV first=1\nRUN --mount=type=secret,id=token cp /run/secrets/token /leak\nRUN --mount=type=secret,id=other cat /run/secrets/other\nLABEL middle=1\nRUN echo x > /x\nCMD ["last"]\n';
      const secrets = new Map(['token', 'other'].map((id) => [id, Buffer.from(`the ${id} of all`)]));
      const { events, image, error } = await buildInRoot(dockerfile, {
        request: singleSnapshot ? { merges: 'new' } : {},
        ports: { secrets },
      });
      assert.equal(error, undefined);
      const leaks = events.filter((event) => event.kind === 'warning' && event.code.startsWith('secret-in-layer'));
      assert.deepEqual(
        leaks.map((event) => event.kind === 'warning' && [event.message.split(':')[0], event.range?.start.line]),
        [[`the secret token is in a file of ${singleSnapshot ? 'the one layer of this stage' : "this step's layer"}`, 3]],
      );
      const history = (image?.config.history ?? []).slice(-6);
      assert.deepEqual(
        history.map((entry) => /first|token|other|middle|echo|last/.exec(entry.createdBy ?? '')?.[0]),
        ['first', 'token', 'other', 'middle', 'echo', 'last'],
      );
      const layers = history.map((entry) => entry.emptyLayer !== true);
      assert.deepEqual(layers, singleSnapshot ? [false, false, false, false, true, false] : [false, true, true, false, true, false]);
    });
  }

  test('a mistyped stage in --from is guessed when there is no image of that name, before the first step', async () => {
    const resolveImage: BuildPorts['resolveImage'] = async () => await Promise.reject(new BuilderError('ERR_REGISTRY', 'no such host'));
    for (const step of ['COPY --from=biuld /a /b', 'RUN --mount=from=biuld,target=/x true']) {
      const dockerfile = `FROM scratch AS build\nWORKDIR /a\nFROM build\n${step}\n`;
      const { error, leftovers, events } = await buildInRoot(dockerfile, { ports: { resolveImage } });
      assert.ok(error instanceof BuilderError);
      assert.match(error.hint ?? '', /^did you mean the stage build\?/);
      assert.deepEqual([error.range?.start.line, leftovers], [4, []]);
      assert.deepEqual(
        events.filter(({ kind }) => kind === 'step.started'),
        [],
      );
    }
  });

  test('--cleanup leaves an empty root', async () => {
    const kept = await buildInRoot('FROM base\nRUN true\n');
    assert.ok(kept.leftovers.includes('bin'));
    const cleaned = await buildInRoot('FROM base\nRUN true\n', { request: { cleanup: true } });
    assert.deepEqual([cleaned.error, cleaned.leftovers], [undefined, []]);
  });

  test('--pre-cleanup empties the root also where nothing is unpacked', async () => {
    const arrangeRoot = (root: string): void => writeFileSync(join(root, 'stray'), 'x');
    const files = { f: 'x' };
    const kept = await buildInRoot('FROM scratch\nCOPY f /\n', { files, arrangeRoot });
    assert.deepEqual([kept.error, kept.leftovers], [undefined, ['stray']]);
    const emptied = await buildInRoot('FROM scratch\nCOPY f /\n', { files, arrangeRoot, request: { preCleanup: true } });
    assert.deepEqual([emptied.error, emptied.leftovers], [undefined, []]);
  });

  for (const [end, step, isFailing] of [
    ['a build', 'RUN echo image > /etc/own && rm -rf /home && echo > /new', false],
    ['a build that fails', 'RUN echo > /new && exit 3', true],
  ] as const)
    test(`--preserve-context puts the container's own files back after ${end}, and none is in the image`, async () => {
      const seen: string[] = [];
      const { error, leftovers } = await buildInRoot(`FROM base\nRUN test ! -e /home/me\n${step}\n`, {
        request: { preservesRoot: true, cleanup: true },
        arrangeRoot: (root) => {
          mkdirSync(join(root, 'etc'), { mode: 0o711 });
          writeFileSync(join(root, 'etc/own'), 'own');
          mkdirSync(join(root, 'home/me'), { recursive: true });
          linkSync(join(root, 'etc/own'), join(root, 'home/me/link'));
        },
        inspectRoot: (root) => {
          const { ino, mode } = statSync(join(root, 'home/me/link'));
          seen.push(readFileSync(join(root, 'etc/own'), 'utf8'), String(statSync(join(root, 'etc/own')).ino === ino), String(mode & 0o777));
          seen.push((statSync(join(root, 'etc')).mode & 0o777).toString(8));
        },
      });
      assert.equal(error !== undefined, isFailing, String(error));
      assert.deepEqual(leftovers, ['etc', 'home']);
      assert.deepEqual(seen, ['own', 'true', String(0o644), '711']);
    });
});

describe('--image-download-retry', { skip: whyNot, timeout: 120_000 }, () => {
  const failing = (): BuildPorts['resolveImage'] => {
    let asked = 0;
    return async () => await Promise.reject(new BuilderError('ERR_REGISTRY', `refused ${++asked}`));
  };

  test('pulls that often again, and says so', async () => {
    const { events, error } = await buildInRoot('FROM base\n', { request: { downloadRetries: 2 }, ports: { resolveImage: failing() } });
    assert.deepEqual(messages(events, 'warning'), ['refused 1; pulling base again (1 of 2)', 'refused 2; pulling base again (2 of 2)']);
    assert.ok(error instanceof BuilderError && error.message.includes('refused 3'));
  });

  test('is 0 where it is not given', async () => {
    const { error } = await buildInRoot('FROM base\n', { ports: { resolveImage: failing() } });
    assert.ok(error instanceof BuilderError && error.message.includes('refused 1'));
  });
});

describe('arguments that speak to the builder', { skip: whyNot, timeout: 120_000 }, () => {
  test('BUILDKIT_CACHE_MOUNT_NS keeps caches of the same id apart', async () => {
    const builderFolder = mkdtempSync(join(tmpdir(), 'yadokari-caches-'));
    const seen = async (namespace: string): Promise<readonly string[]> => {
      const dockerfile = `FROM base\nRUN --mount=type=cache,target=/c ls /c && touch /c/${namespace === '' ? 'none' : 'other'}\n`;
      const buildArgs = new Map([['BUILDKIT_CACHE_MOUNT_NS', namespace]]);
      const { events, error } = await buildInRoot(dockerfile, { request: { builderFolder, buildArgs } });
      assert.equal(error, undefined);
      return events.flatMap((event) => (event.kind === 'output' ? [event.line] : []));
    };
    try {
      assert.deepEqual([await seen(''), await seen('../..'), await seen(''), await seen('x')], [[], [], ['none'], []]);
    } finally {
      rmSync(builderFolder, { recursive: true, force: true });
    }
  });

  test('BUILDKIT_SBOM_SCAN_STAGE never reaches a command', async () => {
    const dockerfile = 'FROM base\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nARG OTHER=1\nRUN test "$OTHER$BUILDKIT_SBOM_SCAN_STAGE" = 1\n';
    assert.equal((await buildInRoot(dockerfile)).error, undefined);
  });
});

describe('layers of steps with mounts', { skip: whyNot, timeout: 120_000 }, () => {
  const secrets = new Map([['token', Buffer.from('t')]]);
  const entriesOf = async (dockerfile: string): Promise<readonly (number | undefined)[]> => {
    const { events, error } = await buildInRoot(dockerfile, { ports: { secrets } });
    assert.equal(error, undefined);
    return events.flatMap((event) => (event.kind === 'step.finished' ? [event.layer?.entries] : []));
  };

  test('a folder that only had a mount in it is not in the layer', async () => {
    const mounts = [
      'type=secret,id=token,target=/etc/token',
      'type=tmpfs,target=/etc/below/deeper',
      'type=cache,target=/opt',
      'type=secret,id=token',
    ];
    const flags = mounts.map((mount) => `--mount=${mount}`).join(' ');
    assert.deepEqual(await entriesOf(`FROM base\nWORKDIR /work\nRUN ${flags} --mount=type=tmpfs,target=in cat /etc/token\n`), [1, 0]);
  });

  test('a folder that the command changed beside the mount is, unless it changed it back', async () => {
    const mount = '--mount=type=secret,id=token,target=/etc/token';
    const steps = ['touch /etc/new', 'chmod 711 /etc', 'chmod 755 /etc && chmod 711 /etc'];
    assert.deepEqual(await entriesOf(`FROM base\n${steps.map((step) => `RUN ${mount} ${step}\n`).join('')}`), [2, 1, 0]);
  });
});
