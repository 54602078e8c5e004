// Pods as the kubelet asks containerd's CRI for them: that ours are like those of a cluster, and what the builder makes of them.
import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { builderLayout } from '../support/builder.ts';
import { type Containerd, missingContainerd, nodeName, startContainerd } from '../support/cri/containerd.ts';
import { type ClusterObjects, podOfManifest } from '../support/cri/manifest.ts';
import { type Pod, type PodResult, runPod, startPod } from '../support/cri/pod.ts';
import { debianBase } from '../support/debian-base.ts';
import { type RunningRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import type { FlatNode } from '../support/flatten.ts';
import { pushLayout } from '../support/image-writer.ts';
import { asList, asObject, asText, type ParsedObject } from '../support/parsed.ts';
import { readRegistryImage } from '../support/registry-image.ts';

const manifests = resolve(import.meta.dirname, '../../k8s');
const conformance = resolve(import.meta.dirname, '../conformance/base');
// user "crab", password "shell" (bcrypt)
const htpasswd = 'crab:$2y$05$abcdefghijklmnopqrstuumNuudgVdLAyD5TYgRWlzz0Y9EpuIEFq\n';
const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

describe('pods that containerd makes', { skip: missingContainerd() ?? false }, () => {
  let containerd: Containerd;
  let registry: RunningRegistry;
  let image = '';
  let debug = '';

  before(
    async () => {
      containerd = await startContainerd();
      registry = await startDockerRegistry();
      image = await containerd.load(builderLayout(), 'latest', 'yadokari');
      debug = await containerd.load(builderLayout(), 'debug', 'yadokari');
      for (const tag of ['base', 'linked']) await pushLayout(conformance, tag, `${registry.host}/${tag}:latest`);
      await debianBase(registry.host);
    },
    { timeout: 600_000 },
  );
  after(async () => {
    await containerd?.stop();
    await registry?.stop();
  });

  // one stream, since the order between two is nobody's promise
  const inShell = (script: string, pod: Partial<Pod> = {}): Promise<PodResult> =>
    runPod(containerd, { image: debug, command: ['/busybox/sh', '-c', `exec 2>&1; ${script}`], ...pod });

  describe('as a kubelet asks for them', () => {
    test('the token is a read-only mount with the links that the kubelet makes', async () => {
      const script = `cd ${tokenFolder}; readlink token; readlink ..data; cat token namespace; grep " $(pwd -P) " /proc/self/mountinfo; echo x > new`;
      const { output, status } = await inShell(script);
      assert.notEqual(status, 0, 'the folder is writable');
      assert.match(
        output,
        /^\.\.data\/token\n\.\.2\d{3}_\S+\ntoken-of-the-service-accountdefault\d+ \d+ \S+ \/ \/run\/secrets\S+ ro,.* - tmpfs /,
      );
    });

    test('hosts, host name, resolver and termination log are files of the node', async () => {
      const script = `cat /etc/hosts /etc/hostname; for f in /etc/hosts /etc/hostname /etc/resolv.conf /dev/termination-log; do grep -c " $f " /proc/self/mountinfo; done; echo why > /dev/termination-log; exit 3`;
      const { output, status, reason, terminationMessage } = await inShell(script);
      assert.match(output, new RegExp(`^# Kubernetes-managed hosts file[^]*${nodeName}\\n${nodeName}\\n1\\n1\\n1\\n1\\n$`));
      assert.deepEqual([status, reason, terminationMessage], [3, 'Error', 'why\n']);
    });

    test('a security context is obeyed to the letter', async () => {
      const { output } = await inShell(
        'id -u; grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; touch /new || echo closed',
        {
          securityContext: {
            capabilities: { drop: ['ALL'], add: ['CHOWN', 'SETUID'] },
            allowPrivilegeEscalation: false,
            seccompProfile: 'RuntimeDefault',
            readOnlyRootFilesystem: true,
            runAsUser: 0,
          },
        },
      );
      assert.match(output, /^0\nCapEff:\t0{14}81\nCapBnd:\t0{14}81\nNoNewPrivs:\t1\nSeccomp:\t2\n/);
      assert.match(output, /closed\n$/);
      assert.match(
        (await inShell('id -u; cat /proc/keys | wc -c; echo 1 > /proc/sys/vm/swappiness', { securityContext: { runAsUser: 65534 } }))
          .output,
        /^65534\n0\n.*Read-only/,
      );
    });

    test('init containers and the container share volumes, of which Secrets and ConfigMaps are read-only', async () => {
      const mounts = ['disk', 'memory', 'secret', 'config'].map((volume) => ({ path: `/${volume}`, volume }));
      const { output } = await inShell(
        'cat /disk/f /memory/f /secret/key /one /config/a/b; touch /secret/x /config/x; grep -c " /memory .* tmpfs " /proc/self/mountinfo',
        {
          volumes: {
            disk: { kind: 'emptyDir' },
            memory: { kind: 'emptyDir', medium: 'Memory' },
            secret: { kind: 'secret', files: { key: 'value\n' } },
            config: { kind: 'configMap', files: { 'a/b': 'setting\n' } },
          },
          mounts: [...mounts, { path: '/one', volume: 'secret', subPath: 'key' }],
          initContainers: [{ image: debug, command: ['/busybox/sh', '-c', 'echo from init | tee /disk/f > /memory/f'], mounts }],
        },
      );
      assert.match(output, /^from init\nfrom init\nvalue\nvalue\nsetting\n/);
      assert.equal(output.match(/Read-only file system/g)?.length, 2, output);
      assert.match(output, /\n1\n$/);
    });

    test('a deleted pod gets SIGTERM, and SIGKILL when its grace period is over', async () => {
      const script = 'trap "echo told; exit 9" TERM; echo ready; while :; do sleep 0.1; done';
      const polite = await startWhenReady(script);
      assert.deepEqual(await polite.exec(['/busybox/echo', 'inside']), { status: 0, output: 'inside\n' });
      await polite.stop(10);
      assert.match((await polite.ended).output, /told/);
      assert.equal((await polite.ended).status, 9);
      const deaf = await startWhenReady(script.replace('"echo told; exit 9"', '""'));
      await deaf.stop(1);
      assert.equal((await deaf.ended).status, 137);
    });

    test('the log is what the container wrote, however long a line, and whether it ends or not', async () => {
      const { output } = await inShell("seq 9000 | sed 's/$/…/' | tr -d '\\n'; echo; printf end");
      assert.equal(output, `${Array.from({ length: 9000 }, (_, index) => `${index + 1}…`).join('')}\nend`);
    });

    test('a pod over its memory limit says so', async () => {
      const { status, reason } = await inShell('tail /dev/zero', { memoryLimitBytes: 32 * 1024 ** 2 });
      assert.deepEqual([status, reason], [137, 'OOMKilled']);
    });
  });

  describe('with the manifests of k8s/, but for their names of images and registries', () => {
    let locked: RunningRegistry;
    before(async () => {
      locked = await startDockerRegistry({ htpasswd });
    });
    after(() => locked?.stop());
    const secretsFor = (host: string): Required<ClusterObjects>['secrets'] => {
      const auths = { [host]: { auth: Buffer.from('crab:shell').toString('base64') } };
      return { 'registry-credentials': { '.dockerconfigjson': JSON.stringify({ auths }) } };
    };
    // the registry of this test speaks plain HTTP
    const builderHere = (container: ParsedObject, destination: string): ParsedObject => {
      const args = asList(container['args']).map((arg) => asText(arg).replace(/^--destination=.*/, `--destination=${destination}`));
      return { ...container, image, args: [...args, '--insecure', '--insecure-pull'] };
    };

    test('pod.yaml builds and pushes, and its termination message is the digest', async () => {
      const [config = {}, pod = {}] = readManifests('pod.yaml');
      const files = asObject(config['data']);
      const dockerfile = asText(files['Dockerfile']).replace(/^FROM \S+/m, `FROM ${registry.host}/base`);
      const spec = asObject(pod['spec']);
      const containers = asList(spec['containers']).map((value) => builderHere(asObject(value), `${registry.host}/hello:latest`));
      const configMaps = { 'hello-context': { ...textsOf(files), Dockerfile: dockerfile } };
      const initContainers = asList(spec['initContainers']).map((value) => ({ ...asObject(value), image }));
      const result = await runPod(
        containerd,
        podOfManifest({ ...spec, containers, initContainers }, { configMaps, secrets: secretsFor('registry.example') }),
      );
      assert.equal(result.status, 0, result.output);
      const built = await readRegistryImage(registry.host, 'hello', 'latest');
      assert.equal(result.terminationMessage, built?.digest);
      assert.deepEqual(built?.problems, []);
      assert.equal(built?.flattened.tree.get('/greeting.txt')?.size, 'Built by root in a pod.\n'.length);
    });

    test('base/job.yaml builds what its init container, another user, has put into a volume, and pushes with the password of its Secret', async () => {
      const [job = {}] = readManifests('base/job.yaml');
      const spec = asObject(asObject(asObject(job['spec'])['template'])['spec']);
      const containers = asList(spec['containers']).map((value) => {
        const container = builderHere(asObject(value), `${locked.host}/app:latest`);
        return { ...container, args: [...asList(container['args']), `--destination=${registry.host}/app:latest`] };
      });
      const fetch = `cd /workspace; id -u > who; printf 'FROM ${registry.host}/base\\nCOPY who /\\nRUN cat /who > /read; ls -A /kaniko/.docker /secret > /seen 2>&1; true' > Dockerfile`;
      const initContainers = asList(spec['initContainers']).map((value) => {
        const container = asObject(value);
        // what git would do, which is not in our image
        return container['name'] === 'fetch-context'
          ? { ...container, image: debug, command: ['/busybox/sh', '-c'], args: [fetch] }
          : { ...container, image };
      });
      const result = await runPod(containerd, podOfManifest({ ...spec, containers, initContainers }, { secrets: secretsFor(locked.host) }));
      assert.equal(result.status, 0, result.output);
      const built = await readRegistryImage(registry.host, 'app', 'latest');
      assert.equal(result.terminationMessage, built?.digest);
      assert.equal(built?.flattened.tree.get('/read')?.size, '65534\n'.length);
      // what ls says of an empty folder beside one that is not there
      const seen = '/kaniko/.docker:\nls: /secret: No such file or directory\n';
      assert.doesNotMatch(result.output, /every RUN of this build can read/);
      assert.equal(built?.flattened.tree.get('/seen')?.size, seen.length);
    });
  });

  describe('with a service account, building on Debian', () => {
    // What fails until an image has a tree of its own beside what a pod mounts. One that holds fails its test until it is taken out.
    let base: Tree;
    let built: Tree;

    const rows: readonly { readonly name: string; readonly check: () => void }[] = [
      {
        name: '/var/run is still the link to /run',
        check: () => assert.equal(built.get('/var/run')?.target, base.get('/var/run')?.target),
      },
      { name: 'what RUN makes below /var/run lies in /run', check: () => assert.equal(built.get('/run/sshd')?.type, 'dir') },
      { name: 'what COPY puts below /var/run lies in /run', check: () => assert.equal(built.get('/run/app/copied')?.size, 6) },
      { name: 'RUN finds below /run what was made below /var/run', check: () => assert.equal(built.get('/found')?.size, 'sshd\n'.length) },
      {
        name: 'nothing of the pod is in the image',
        check: () =>
          assert.deepEqual(
            [...built.keys()].filter((path) => /secrets|serviceaccount|termination-log/.test(path)),
            [],
          ),
      },
      {
        name: 'the files that the pod mounts over are those of the base',
        check: () => {
          for (const path of ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev', '/proc', '/sys', '/run'])
            assert.deepEqual(kindOf(built.get(path)), kindOf(base.get(path)), path);
        },
      },
      {
        name: 'no other path of the base has changed',
        check: () => {
          const changed = [...base].filter(([path, node]) => path !== '/var/run' && kindOf(built.get(path)) !== kindOf(node));
          assert.deepEqual(
            changed.map(([path]) => path),
            [],
          );
        },
      },
    ];
    test('it builds and pushes', async () => {
      const dockerfile = `FROM ${registry.host}/debian:bookworm
RUN mkdir -p /var/run/sshd /var/run/app
COPY Dockerfile copied /var/run/app/
RUN cd /run && ls -d sshd > /found; true
`;
      const result = await runPod(containerd, {
        image,
        args: [`--destination=${registry.host}/on-debian:latest`, '--insecure', '--insecure-pull'],
        volumes: { context: { kind: 'configMap', files: { Dockerfile: dockerfile, copied: 'copied' } } },
        mounts: [{ path: '/workspace', volume: 'context' }],
      });
      assert.equal(result.status, 0, result.output);
      base = await treeIn('debian', 'bookworm');
      built = await treeIn('on-debian', 'latest');
    });
    for (const { name, check } of rows)
      test(name, () => {
        assert.ok(built !== undefined, 'the build failed');
        check();
      });
  });

  test('no process, cgroup or file remains of a containerd that was stopped in the middle of a pod', async () => {
    const other = await startContainerd();
    const folder = dirname(other.pods);
    const busy = await other.load(builderLayout(), 'debug', 'yadokari');
    const pod = await startPod(other, { image: busy, command: ['/busybox/sleep', '600'] });
    assert.ok(processesOf(folder).length >= 2, 'containerd and its shim are not seen');
    assert.notDeepEqual(globSync(`/sys/fs/cgroup/**${other.cgroup}`), []);
    const abandoned = assert.rejects(pod.ended);
    await other.stop();
    await abandoned;
    assert.deepEqual(processesOf(folder), []);
    assert.deepEqual(globSync(`/sys/fs/cgroup/**${other.cgroup}`), []);
    assert.ok(!existsSync(folder));
  });

  const treeIn = async (repository: string, tag: string): Promise<Tree> => {
    const found = await readRegistryImage(registry.host, repository, tag);
    assert.deepEqual(found?.problems, []);
    return found?.flattened.tree ?? new Map();
  };

  async function startWhenReady(script: string) {
    const ready = Promise.withResolvers<void>();
    const onOutput = (text: string): void => {
      if (text.includes('ready')) ready.resolve();
    };
    const pod = await startPod(containerd, { image: debug, command: ['/busybox/sh', '-c', script] }, { onOutput });
    await Promise.race([ready.promise, pod.ended]);
    return pod;
  }
});

type Tree = ReadonlyMap<string, FlatNode>;

function kindOf(node: FlatNode | undefined): string {
  if (node === undefined) return 'nothing';
  return [node.type, node.mode.toString(8), node.uid, node.gid, node.sha256, node.target].join(' ');
}

function readManifests(name: string): readonly ParsedObject[] {
  return parseAllDocuments(readFileSync(join(manifests, name), 'utf8')).map((document) => asObject(document.toJS(), name));
}

function textsOf(object: ParsedObject): Record<string, string> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, asText(value)]));
}

/** The processes that name the folder in their command line, containers' shims among them. */
function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}
