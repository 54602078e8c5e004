// What "change the image's name alone" rests on: the files, variables, words and shells that callers of kaniko were found to use, one
// test a line. Most are a script in the debug image; where a suite has the line already, its test is named and has to be there.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostPlatform } from '../../src/oci/platform.ts';
import { readLayout } from '../../src/store/oci-layout.ts';
import { builderLayout } from '../support/builder.ts';
import { type Containerd, missingContainerd, startContainerd } from '../support/cri/containerd.ts';
import { type RunningPod, startPod } from '../support/cri/pod.ts';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { pushLayout } from '../support/image-writer.ts';

const conformance = resolve(import.meta.dirname, '../conformance/base');
const htpasswd = 'crab:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';
const basic = Buffer.from('crab:secret').toString('base64');

/** A line of the contract and what shows it: a script that must succeed in the container, or the test that has it. */
type Line = readonly [line: string, script: string] | readonly [line: string, seen: { readonly in: string; readonly title: string }];

const seen = (file: string, title: string): { readonly in: string; readonly title: string } => ({ in: file, title });
/** Pushes an image of one file; `$R` is a registry that wants a password. */
const push = (more = ''): string => `executor --context=/ctx --destination=$R/shapes --insecure ${more}`;
const dry = (more = ''): string => `executor --no-push ${more}`;
const config = (text: string): string => `printf '%s' '${text}' > /kaniko/.docker/config.json`;
const noConfig = 'rm -f /kaniko/.docker/* /kaniko/.docker/.docker*';

const files: readonly Line[] = [
  ['the executor is found by its path and on PATH', '/kaniko/executor version; executor version'],
  ['the debug image has the warmer', '/kaniko/warmer --help | grep -q cache-dir'],
  ['the working directory is /workspace, which is the default context, too', `test "$PWD" = /workspace; ${dry()}`],
  ['credentials are read from /kaniko/.docker/config.json', `${config(`{"auths":{"@R@":{"auth":"${basic}"}}}`)}; ${push()}; ${noConfig}`],
  [
    'DOCKER_CONFIG names another folder: /root/.docker, /tekton/home/.docker',
    `mkdir -p /root/.docker; printf '{"auths":{"%s":{"auth":"${basic}"}}}' $R > /root/.docker/config.json; DOCKER_CONFIG=/root/.docker ${push()}; rm -r /root/.docker`,
  ],
  [
    'certificates can be appended to the bundle and put beside it',
    'echo >> $SSL_CERT_DIR/ca-certificates.crt; echo >> /kaniko/ssl/certs/additional-ca-cert-bundle.crt',
  ],
  ['a build begins though the folder of certificates is empty', `mkdir /tmp/none; SSL_CERT_DIR=/tmp/none ${dry()}`],
  [
    'the folder of base images is /cache',
    seen('test/e2e/warmer.test.ts', 'three warmers fill one volume at once, and a build takes its base from it'),
  ],
  [
    "Skaffold's context is at /kaniko/buildcontext",
    seen('test/callers/callers.test.ts', 'an init container fetches the context into /kaniko/buildcontext'),
  ],
  [
    'files of others below /kaniko and at /secret are no trouble',
    `mkdir -p /secret /kaniko/secrets; echo x | tee /secret/key /kaniko/secrets/npmrc; ${dry()}`,
  ],
  [
    "HOME, USER and PATH are kaniko's",
    'test "$HOME $USER" = "/root root"; case $PATH in /usr/local/bin:/kaniko:/busybox*) ;; *) exit 1; esac',
  ],
  ['/kaniko is open to all', 'case $(stat -c %a /kaniko) in 777 | 1777) ;; *) exit 1 ;; esac'],
  ['KANIKO_DIR moves it', `KANIKO_DIR=/elsewhere ${dry()}; test -d /elsewhere`],
  ['busybox is a volume, and /bin/sh a link to it', "grep -q ' /busybox ' /proc/mounts; test -x /bin/sh; /busybox/sh -c true"],
  [
    'the helpers of Google, AWS and Azure answer by their names in credHelpers',
    seen('test/integration/cloud/registries.test.ts', 'helpers that config.json names are answered without a program'),
  ],
  ['/kaniko can be copied into another image', seen('test/e2e/copied-builder.test.ts', 'twice in a job')],
];

const shells: readonly Line[] = [
  [
    'a shell that GitLab Runner looks for is there, before and after a build',
    seen('test/callers/callers.test.ts', 'the shell that the runner looks for'),
  ],
  ['Jenkins keeps the container alive by cat, sleep or tail', 'echo | /busybox/cat; sleep 0; tail -n 1 /proc/mounts'],
  [
    "#!/busybox/sh and Jenkins's PATH work",
    `printf '#!/busybox/sh\\nPATH=/busybox:/kaniko:$PATH executor version' > /tmp/step; chmod +x /tmp/step; /tmp/step`,
  ],
  [
    "Woodpecker's script has base64, tr, sed, awk, grep and wc",
    "printf 'a b' | base64 | base64 -d | tr a c | sed s/b/d/ | awk '{print $2}' | grep d | wc -l",
  ],
  ['kubectl create job names the executor as its command', '/kaniko/executor --context=/ctx --no-push'],
];

const words: readonly Line[] = [
  ['flags are read by the rules of pflag', seen('test/unit/cli/flags.test.ts', "parseFlags() by pflag's rules")],
  [
    'short flags take their value attached, after = or as the next word',
    `executor -c/ctx -f=Dockerfile -v debug --no-push 2>&1 | grep -q COPY`,
  ],
  [
    'every flag of kaniko, old spellings and dead ones included, is honoured or told',
    seen('test/unit/cli/kaniko-flags.test.ts', 'is honoured, told to change nothing, or refused by name'),
  ],
  ['empty arguments are dropped', `executor "" --no-push "" --context /ctx ""`],
  ['a stray word is an unknown command', `executor sh 2>&1 | grep 'Cannot run command "sh": there is no such command'`],
  ['a command line in one word is told', `executor "--no-push --context=/ctx" 2>&1 | grep 'the argument has a blank in it'`],
  [
    "the fork's commands are there: version, login, push",
    'executor version; executor login --help | grep -q password-stdin; executor push --help | grep -q destination',
  ],
  ['--force is taken in a container, and never needed', `${dry('--force')}; ${dry()}`],
];

const contexts: readonly Line[] = [
  ['dir:// and a bare path', `${dry('--context=dir:///ctx')}; ${dry('--context=/ctx')}`],
  ['dir://workspace is /workspace', `${dry('--context=dir://workspace')} 2>&1 | grep 'dir:///workspace'`],
  ['tar://path.tar.gz', `tar -czf /tmp/x.tar.gz -C /ctx .; ${dry('--context=tar:///tmp/x.tar.gz')}`],
  ['tar://stdin', `tar -czf - -C /ctx . | ${dry('--context=tar://stdin')}`],
  ['git:// and https:// repositories, with --git', seen('test/e2e/git.test.ts', 'a private git context builds')],
  ['archives of the web', seen('test/unit/context/source.test.ts', 'openContext() downloads and unpacks an archive by URL')],
  ['s3://', seen('test/integration/cloud/contexts.test.ts', 'a context of s3:// comes where the signature is right')],
  ['blobs of Azure', seen('test/integration/cloud/contexts.test.ts', 'a blob of Azure comes with the key of its account')],
  ['gs://', seen('test/integration/cloud/contexts.test.ts', 'gs://')],
  ['--context-sub-path', `mkdir -p /sub/x; cp /ctx/* /sub/x; ${dry('--context=/sub --context-sub-path=x')}`],
];

const variables: readonly Line[] = [
  [
    'DOCKER_AUTH_CONFIG, before any file',
    `${config('{"auths":{"@R@":{"auth":"d3Jvbmc6d3Jvbmc="}}}')}; DOCKER_AUTH_CONFIG='{"auths":{"@R@":{"auth":"${basic}"}}}' ${push()}; ${noConfig}`,
  ],
  ['KANIKO_NO_PUSH', 'KANIKO_NO_PUSH=true executor --context=/ctx'],
  ['KANIKO_PRINT_PLAN', `KANIKO_PRINT_PLAN=1 ${dry()} 2>&1 | grep 'stage 0: FROM scratch'`],
  [
    'KANIKO_REGISTRY_MIRROR and KANIKO_REGISTRY_MAP',
    seen('test/unit/cli/requests/build-request.test.ts', 'KANIKO_REGISTRY_MIRROR counts only where the flag is not given'),
  ],
  [
    'KANIKO_PRE_CLEANUP, KANIKO_CLEANUP, KANIKO_PRESERVE_CONTEXT',
    `KANIKO_PRE_CLEANUP=0 KANIKO_CLEANUP=false KANIKO_PRESERVE_CONTEXT=f ${dry()}`,
  ],
  [
    'KANIKO_<HOST>_USER and _PASSWORD',
    seen('test/unit/registry/credentials.test.ts', 'variables of the host and of GitLab are for their host only'),
  ],
  ['FF_KANIKO_… are told at debug', `FF_KANIKO_X=1 ${dry('-v debug')} 2>&1 | grep FF_KANIKO_X`],
  [
    'GODEBUG, SNAPSHOT_TIMEOUT_DURATION and KANIKO_IGNORE_ASSERTIONS are no trouble',
    `GODEBUG=http2client=0 SNAPSHOT_TIMEOUT_DURATION=1m KANIKO_IGNORE_ASSERTIONS=1 ${dry()}`,
  ],
  [
    "Shipwright's dummies for AWS are no trouble",
    `AWS_ACCESS_KEY_ID=NOT_SET AWS_SECRET_KEY=NOT_SET AWS_EC2_METADATA_DISABLED=true DOCKER_AUTH_CONFIG='{"auths":{"@R@":{"auth":"${basic}"}}}' ${push()}`,
  ],
  ["GIT_TOKEN's relatives", seen('test/e2e/git.test.ts', 'GIT_TOKEN')],
  ['proxies in both cases', seen('test/unit/registry/proxy.test.ts', 'proxiesFrom() prefers the special over the general, and lower case')],
  [
    'UPSTREAM_CLIENT_TYPE',
    seen('test/unit/cli/requests/registry-request.test.ts', 'UPSTREAM_CLIENT_TYPE becomes a comment of the user agent'),
  ],
  [
    'BUILDER_OUTPUT',
    `mkdir /tmp/o; BUILDER_OUTPUT=/tmp/o DOCKER_AUTH_CONFIG='{"auths":{"@R@":{"auth":"${basic}"}}}' ${push()}; grep '"digest":"sha256:' /tmp/o/images`,
  ],
];

const withAuth = `export DOCKER_AUTH_CONFIG='{"auths":{"@R@":{"auth":"${basic}"}}}'`;
const outputs: readonly Line[] = [
  ['--digest-file has no newline', `${dry('--digest-file=/tmp/d')}; test "$(wc -c < /tmp/d)" = 71`],
  ['--digest-file takes a URL', seen('test/unit/cli/requests/build-request.test.ts', 'result files go to paths and URLs')],
  [
    '--image-name-with-digest-file and --image-name-tag-with-digest-file',
    `${withAuth}; ${push('--image-name-with-digest-file=/tmp/n --image-name-tag-with-digest-file=/tmp/t')}; grep "^$R/shapes@sha256:" /tmp/n; grep "^$R/shapes:latest@sha256:" /tmp/t`,
  ],
  ['/dev/termination-log is written in place', `${dry('--digest-file=/dev/termination-log')}; grep sha256: /dev/termination-log`],
  [
    '--tar-path and --oci-layout-path',
    `mkdir /tmp/out; ${dry('--destination=a/b --tar-path=/tmp/out/i.tar --oci-layout-path=/tmp/out/l')}; test -s /tmp/out/i.tar; test -s /tmp/out/l/index.json`,
  ],
  ['Pushed NAME@DIGEST can be grepped', `${withAuth}; ${push()} 2>&1 | grep "Pushed $R/shapes@sha256:"`],
];

const shape = (text: string): string => `${config(text)}; ${push()}; ${noConfig}`;
/** A program on PATH that knows the password, and answers for the registry alone. */
const helper = (name: string): string =>
  `printf '#!/busybox/sh\\nread host; test $1 = get && test $host = %s && echo "{\\"Username\\":\\"crab\\",\\"Secret\\":\\"secret\\"}"' $R > /kaniko/docker-credential-${name}; chmod +x /kaniko/docker-credential-${name}`;
const configs: readonly Line[] = [
  ['auth', shape(`{"auths":{"@R@":{"auth":"${basic}"}}}`)],
  ['username and password', shape('{"auths":{"@R@":{"username":"crab","password":"secret"}}}')],
  ['identitytoken', seen('test/unit/registry/docker-config.test.ts', 'parseDockerConfig() reads identity and registry tokens')],
  ['the names of Docker Hub', seen('test/unit/registry/docker-config.test.ts', 'normalizeKey() knows the ways a host is written')],
  ['keys with a scheme and a path', shape(`{"auths":{"http://@R@/v2/":{"auth":"${basic}"}}}`)],
  ['keys for a path', shape(`{"auths":{"@R@/shapes":{"auth":"${basic}"},"@R@":{"auth":"d3Jvbmc6d3Jvbmc="}}}`)],
  [
    'proxies.default is no trouble',
    shape(`{"proxies":{"default":{"httpProxy":"http://127.0.0.1:1"}},"auths":{"@R@":{"auth":"${basic}"}}}`),
  ],
  [
    'credHelpers, for their host and before auths',
    `${helper('crab')}; ${shape(`{"credHelpers":{"@R@":"crab"},"credsStore":"none","auths":{"@R@":{"auth":"d3Jvbmc6d3Jvbmc="}}}`)}`,
  ],
  ['credsStore, for every host', `${helper('shell')}; ${shape('{"credsStore":"shell"}')}`],
  [
    'a Secret mounted whole, its file named .dockerconfigjson',
    `printf '{"auths":{"%s":{"auth":"${basic}"}}}' $R > /kaniko/.docker/.dockerconfigjson; ${push()}; ${noConfig}`,
  ],
  [
    'a Secret of the old type, its file named .dockercfg',
    `printf '{"%s":{"auth":"${basic}"}}' $R > /kaniko/.docker/.dockercfg; ${push()}; ${noConfig}`,
  ],
];

const groups = { files, shells, 'command line': words, contexts, environment: variables, outputs, 'config.json': configs };

describe("kaniko's contract", { skip: missingContainerd() ?? false, timeout: 300_000 }, () => {
  let containerd: Containerd;
  let registry: RunningRegistry;
  let folder = '';
  let pod: RunningPod;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'yadokari-contract-'));
    [containerd, registry] = await Promise.all([startContainerd(), startDockerRegistry({ htpasswd })]);
    await pushLayout(conformance, 'base', `${registry.host}/base:latest`, 'crab:secret');
    const context = join(folder, 'Dockerfile');
    await writeFile(context, 'FROM scratch\nCOPY Dockerfile /here\n');
    const place = { kind: 'hostPath', path: folder } as const;
    pod = await startPod(containerd, {
      image: await containerd.load(builderLayout(), 'debug', 'yadokari'),
      command: ['/busybox/cat'],
      tty: true,
      env: { R: registry.host },
      volumes: { context: place, busybox: { kind: 'emptyDir' } },
      mounts: ['/workspace', '/ctx'].map((path) => ({ path, volume: 'context' })),
    });
  });
  after(async () => {
    await pod?.stop(0);
    await pod?.ended;
    await containerd?.stop();
    await registry?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('the entry point of each image is the program that it is named for, and its user root', async () => {
    const { signal } = new AbortController();
    for (const [tag, program] of [
      ['latest', 'executor'],
      ['debug', 'executor'],
      ['warmer', 'warmer'],
    ] as const) {
      const { image } = await readLayout({ folder: builderLayout(), tag }, hostPlatform(process.arch), signal);
      assert.deepEqual(image.config.config.entrypoint, [`/kaniko/${program}`]);
      assert.equal(image.config.config.workingDir, '/workspace');
      const env = new Map(image.config.config.env.map((item) => [item.replace(/=.*/, ''), item.replace(/^[^=]*=/, '')]));
      assert.equal(env.get('SSL_CERT_DIR'), '/kaniko/ssl/certs');
      assert.equal(env.get('DOCKER_CONFIG')?.replace(/\/$/, ''), '/kaniko/.docker');
      assert.equal(env.get('DOCKER_CREDENTIAL_GCR_CONFIG'), '/kaniko/.config/gcloud/docker_credential_gcr_config.json');
    }
  });

  for (const [group, lines] of Object.entries(groups))
    describe(group, () => {
      for (const [line, shown] of lines)
        test(line, async () => {
          if (typeof shown !== 'string') {
            const text = await readFile(resolve(import.meta.dirname, '../..', shown.in), 'utf8');
            assert.ok(text.includes(shown.title), `${shown.in} has no test with "${shown.title}" any more`);
            return;
          }
          const script = `set -e; mkdir -p /tmp; cd /workspace; ${shown.replaceAll('@R@', registry.host)}`;
          const { status, output } = await pod.exec(['/busybox/sh', '-c', script]);
          assert.equal(status, 0, `${script}\n${output}`);
        });
    });

  test("a RUN's exit status is the builder's, and any other failure's is 1", async () => {
    const dockerfile = `printf 'FROM ${registry.host}/base\\nRUN exit 7\\n' > /kaniko/run7`;
    const auth = `DOCKER_AUTH_CONFIG='{"auths":{"${registry.host}":{"auth":"${basic}"}}}'`;
    const build = `${auth} executor --no-push --insecure-pull --context=/ctx --dockerfile=/kaniko/run7`;
    assert.equal((await pod.exec(['/busybox/sh', '-c', `${dockerfile}; ${build}`])).status, 7);
    assert.equal((await pod.exec(['/busybox/sh', '-c', 'executor --no-push --context=/none'])).status, 1);
    // Last of all: the root is another's now, and a job's shell is still there.
    assert.equal((await pod.exec(['/busybox/sh', '-c', 'executor version && node --version'])).status, 0);
  });
});
