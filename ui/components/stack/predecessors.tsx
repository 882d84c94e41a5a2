// After a reinstall: what an ended installation of the same stack left behind can be taken over, with the links that know which record
// is which entry, so that nothing is created a second time.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { Predecessor } from '../../../server/http/contract/stack.ts'
import { Button, counted, Notice } from '../basics.tsx'
import { Confirm } from '../dialog.tsx'
import { Day } from '../time.tsx'
import { usePredecessors, useRefresh, useStack } from './stack-view.tsx'

export function Predecessors({ primary = false }: { primary?: boolean }) {
  const { api, can } = useStack()
  const refresh = useRefresh()
  const predecessors = usePredecessors()
  const [taking, setTaking] = useState<Predecessor | null>(null)
  const adopt = useMutation({
    mutationFn: (from: string) => api.adopt({ from }),
    onSuccess: async () => {
      await refresh()
      setTaking(null)
    }
  })
  return (
    <>
      {adopt.data ? (
        <Notice tone="good" live title={`${counted(adopt.data.syncs, 'sync')} and ${counted(adopt.data.links, 'link')} are taken over.`}>
          <p>The syncs are paused. Enter its secrets where a connection asks for them, then resume each sync.</p>
        </Notice>
      ) : null}
      {(predecessors.data?.items ?? []).map(before => (
        <Notice
          key={before.id}
          tone="quiet"
          title={
            <>
              Before: an installation of this stack until <Day at={before.endedAt} />, with {counted(before.syncs, 'sync')} and{' '}
              {counted(before.links, 'link')}.
            </>
          }
        >
          <p>Taken over, its syncs go on where they stopped, and no entry is created twice.</p>
          {can.configure ? (
            <div className="row">
              <Button look={primary ? 'primary' : 'secondary'} onClick={() => setTaking(before)}>
                Take them over
              </Button>
            </div>
          ) : (
            <p>An admin can take them over.</p>
          )}
        </Notice>
      ))}
      {taking ? (
        <Confirm
          open
          onClose={() => {
            setTaking(null)
            adopt.reset()
          }}
          title="Take over what the former installation left?"
          action="Take them over"
          instead="Begin without them"
          busy={adopt.isPending && 'Taking over…'}
          error={adopt.error}
          onConfirm={() => adopt.mutate(taking.id)}
        >
          <ul className="plain-list">
            <li>
              {counted(taking.connections, 'connection comes', 'connections come')} without secrets: where one has any, you enter them
              again.
            </li>
            <li>{counted(taking.syncs, 'sync comes', 'syncs come')} paused: you resume each when its connection works.</li>
            <li>{counted(taking.links, 'link comes', 'links come')} as they are, so records find their entries.</li>
          </ul>
          <p>This cannot be undone, but what comes can be paused. Access keys do not come: make new ones.</p>
        </Confirm>
      ) : null}
    </>
  )
}
