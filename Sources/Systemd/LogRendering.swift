import Logging

/// Makes of an event what is written. It knows no sink, because a sink keeps renderings.
protocol LogRendering: Sendable {
    func record(of event: LogEvent, fields: [LogField]) -> LogRecord
}

package typealias LogField = (key: String, value: Logger.MetadataValue)
