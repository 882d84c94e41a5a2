// What every accepted write leaves behind: a line in the stack's writes, which tests count duplicates against, and who the
// platform would name as its author.
import type { Call } from './call.ts'
import type { Credential, WriteRecord, World } from '../world/model.ts'
import { tokenOf } from '../world/stack.ts'

type Written = Omit<WriteRecord, 'at' | 'by'>

export function recordWrite(call: Call, written: Written): void {
  call.stack.writes.push({ at: call.context.clock.iso(), by: writerOf(call.context.world, call.credential), ...written })
}

function writerOf(world: World, credential: Credential): WriteRecord['by'] {
  switch (credential.kind) {
    case 'authtoken':
    case 'oauth_user': {
      const user = world.users[credential.userUid]
      return { kind: credential.kind, uid: credential.userUid, name: user ? `${user.firstName} ${user.lastName}` : '' }
    }
    case 'management_token': {
      const stack = world.stacks[credential.apiKey]
      return { kind: credential.kind, uid: credential.tokenUid, name: (stack && tokenOf(stack, credential.tokenUid)?.name) ?? '' }
    }
    case 'oauth_app': {
      const app = world.apps[world.installations[credential.installationUid]?.appUid ?? '']
      return { kind: credential.kind, uid: credential.installationUid, name: app?.name ?? '' }
    }
    default:
      return credential satisfies never
  }
}

/** For created_by and updated_by; '' is left out of replies. What tokens leave there is not established (§11.9): a play. */
export function authorOf(call: Pick<Call, 'credential' | 'context'>): string {
  const { credential, context } = call
  if (credential.kind === 'authtoken' || credential.kind === 'oauth_user') return credential.userUid
  const uid = credential.kind === 'management_token' ? credential.tokenUid : credential.installationUid
  if (context.plays.updatedBy === 'token-uid') return uid
  return context.plays.updatedBy === 'system' ? 'system' : ''
}
