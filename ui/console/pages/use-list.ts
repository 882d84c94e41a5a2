// One list of the console, filtered and placed by the page's own URL and asked again while somebody looks.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import type { List } from '../../../server/http/contract/stack.ts'
import type { Filter } from '../../api/console.ts'

type Ask<T> = (query: Filter, signal?: AbortSignal) => Promise<List<T>>

/** `live` tells whether a row is going to change by itself soon. An older page is history and is not asked again. */
export function useList<T>(name: string, ask: Ask<T>, filter: Filter, live: (row: T) => boolean = () => false) {
  return useQuery({
    queryKey: ['console', name, filter],
    queryFn: ({ signal }) => ask(filter, signal),
    placeholderData: keepPreviousData,
    refetchInterval: query => (filter['before'] ? false : query.state.data?.items.some(live) ? 1500 : 10_000)
  })
}
