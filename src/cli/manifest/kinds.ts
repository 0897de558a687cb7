/** The kinds of manifests: a JobSet, a TrainJob of Kubeflow with its runtime, or a Job with a StatefulSet. */

import { jobSetVariable } from '../../launcher/platforms/kubernetes.js';
import { headlessService, jobSpec, metadata, networkPolicy, podCount } from './job-parts.js';
import { ports, type ManifestKind, type ManifestPlan } from './manifest-plan.js';
import { labelsOf, podTemplate, type Part } from './pod-template.js';

/** Number of times that the whole set is started again after a Job has failed for another reason than the configuration. */
const restarts = 3;

/** The coordinator is a Job with one pod, and the workers are one Job with a pod for each. */
function jobSet(plan: ManifestPlan): Part[] {
  const annotation = "metadata.annotations['jobset.sigs.k8s.io/coordinator']";
  const worker = podTemplate(plan, 'worker', {
    coordinator: `$(${jobSetVariable})`,
    variables: [{ name: jobSetVariable, valueFrom: { fieldRef: { fieldPath: annotation } } }],
  });
  return [
    {
      apiVersion: 'jobset.x-k8s.io/v1alpha2',
      kind: 'JobSet',
      metadata: metadata(plan, '', true),
      spec: {
        coordinator: { replicatedJob: 'coordinator', jobIndex: 0, podIndex: 0 },
        network: { enableDNSHostnames: true, subdomain: plan.name, publishNotReadyAddresses: true },
        successPolicy: { operator: 'All', targetReplicatedJobs: ['coordinator'] },
        failurePolicy: {
          maxRestarts: restarts,
          rules: [{ name: 'configuration', action: 'FailJobSet', onJobFailureReasons: ['PodFailurePolicy'] }],
        },
        replicatedJobs: [
          {
            name: 'coordinator',
            replicas: 1,
            template: {
              spec: { ...podCount(1), ...jobSpec('coordinator', podTemplate(plan, 'coordinator')) },
            },
          },
          {
            name: 'worker',
            replicas: 1,
            template: { spec: { ...podCount(plan.workers), ...jobSpec('worker', worker) } },
          },
        ],
      },
    },
    networkPolicy(plan),
  ];
}

/** The runtime describes the pods; Kubeflow sets the number of nodes and the variables PET_*. */
function trainJob(plan: ManifestPlan): Part[] {
  const step = { 'trainer.kubeflow.org/trainjob-ancestor-step': 'trainer' };
  return [
    {
      apiVersion: 'trainer.kubeflow.org/v1alpha1',
      kind: 'ClusterTrainingRuntime',
      metadata: metadata({ ...plan, namespace: null }),
      spec: {
        mlPolicy: { numNodes: plan.workers, torch: {} },
        template: {
          spec: {
            replicatedJobs: [
              {
                name: 'node',
                template: {
                  metadata: { labels: step },
                  spec: jobSpec('node', podTemplate(plan, 'node')),
                },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'trainer.kubeflow.org/v1alpha1',
      kind: 'TrainJob',
      metadata: metadata(plan, '', true),
      spec: {
        runtimeRef: { apiGroup: 'trainer.kubeflow.org', kind: 'ClusterTrainingRuntime', name: plan.name },
        trainer: { numNodes: plan.workers },
      },
    },
    networkPolicy(plan),
  ];
}

/** The coordinator is a Job, and the workers are a StatefulSet, which `kubectl scale` changes during the run. */
function plainJob(plan: ManifestPlan): Part[] {
  const host = `${plan.name}-coordinator`;
  const worker = podTemplate(plan, 'worker', { coordinator: host, restartPolicy: 'Always' });
  return [
    headlessService(plan, '-coordinator', 'coordinator', ports.coordinator),
    headlessService(plan, '-worker', 'worker', ports.peers),
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: metadata(plan, '-coordinator', true),
      spec: { ...podCount(1), ...jobSpec('coordinator', podTemplate(plan, 'coordinator')) },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: metadata(plan, '-worker', true),
      spec: {
        serviceName: `${plan.name}-worker`,
        replicas: plan.workers,
        // A worker is ready when enough workers are present, so none may wait for the one before it.
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: { ...labelsOf(plan), 'app.kubernetes.io/component': 'worker' } },
        template: worker,
      },
    },
    networkPolicy(plan),
  ];
}

/** Objects of a manifest, in the order in which `kubectl apply` creates them. */
export const kinds: Readonly<Record<ManifestKind, (plan: ManifestPlan) => Part[]>> = {
  jobset: jobSet,
  trainjob: trainJob,
  job: plainJob,
};
