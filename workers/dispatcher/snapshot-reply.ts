/**
 * The registry's snapshot on its way to a dispatcher isolate: a reply with a JSON body, because a value that crosses by RPC may
 * have 32 MiB at most, and a registry that has grown beyond that would answer nobody any more, not even who wants to delete.
 */
import type { Endpoint, RegistrySnapshot } from '#contracts/registry.ts'

/** 200 with the snapshot, 204 where there is none to send. */
export function snapshotReply(snapshot: RegistrySnapshot | null): Response {
  if (!snapshot) return new Response(null, { status: 204 })
  return Response.json({
    ...snapshot,
    endpoints: snapshot.endpoints.map((endpoint) => withTags(endpoint, (value) => value ?? null)),
  })
}

export async function readSnapshot(reply: Response): Promise<RegistrySnapshot | null> {
  if (reply.status === 204) return null
  const snapshot = (await reply.json()) as RegistrySnapshot
  return {
    ...snapshot,
    endpoints: snapshot.endpoints.map((endpoint) => withTags(endpoint, (value) => value ?? undefined) as Endpoint),
  }
}

/** JSON drops a member that is undefined, and a tag without a value is still a tag. */
function withTags<Value>(endpoint: Endpoint, change: (value: string | null | undefined) => Value) {
  return {
    ...endpoint,
    tags: Object.fromEntries(Object.entries(endpoint.tags).map(([key, value]) => [key, change(value)])),
  }
}
