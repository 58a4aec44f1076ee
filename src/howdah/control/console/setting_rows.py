"""The rows of SHOW CONFIG, from the schema that all settings come from."""

from howdah.control.config.schema import GlobalSettings, Reload
from howdah.control.config.shown import shown
from howdah.control.console.table import Setting


def setting_rows(settings: GlobalSettings) -> list[Setting]:
    rows = []
    for key, field in sorted(type(settings).model_fields.items()):
        extra = field.json_schema_extra
        reload = extra["reload"] if isinstance(extra, dict) else Reload.RESTART
        default = field.get_default(call_default_factory=True, validated_data={})
        rows.append(Setting(key, shown(key, getattr(settings, key)), shown(key, default), reload == Reload.RELOAD))
    return rows
