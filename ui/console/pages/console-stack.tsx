// Puts one installation under a console page: its routes, and what this person's role lets them do with it.
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useMemo } from 'react'
import { useParams } from 'react-router'
import type { Installation } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { Problem, Waiting } from '../../components/basics.tsx'
import { StackProvider } from '../../components/stack/stack-view.tsx'
import { PageHead } from '../frame.tsx'
import { abilities, roleFor, useMe } from '../me.tsx'

export function ConsoleStack({ title, children }: { title: string; children: (installation: Installation) => ReactNode }) {
  const { installationId = '' } = useParams()
  const me = useMe()
  const api = useMemo(() => consoleApi.stack(installationId), [installationId])
  const query = useQuery({
    queryKey: [installationId, 'installation'],
    queryFn: ({ signal }) => api.installation(signal),
    refetchInterval: 10_000
  })
  const installation = query.data
  if (!installation) {
    return (
      <>
        <PageHead title={title} />
        {query.error ? <Problem error={query.error} retry={() => void query.refetch()} /> : <Waiting label="the installation" lines={6} />}
      </>
    )
  }
  const base = `/installations/${installationId}`
  return (
    <StackProvider
      value={{
        id: installationId,
        api,
        installation,
        can: abilities(roleFor(me, installation)),
        branches: ['main'],
        links: {
          run: id => `${base}/runs/${id}`,
          sync: id => `${base}/syncs/${id}`,
          plan: id => `${base}/plans/${id}`
        }
      }}
    >
      {children(installation)}
    </StackProvider>
  )
}
