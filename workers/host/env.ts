import type { DiskService } from '#model-cache/stores/disk-service.ts'

/** Bindings of the host worker. */
export interface HostEnv {
  /** Mounts endpoint bundles as isolates. */
  LOADER: WorkerLoader
  /** One object per mounted bundle. */
  REPLICA: DurableObjectNamespace
  /** The model cache's disk tier. */
  BLOBS: DiskService
}
