"""Static files under names that carry their content's hash, the imports between modules included."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class TerminalStaticStorage(CompressedManifestStaticFilesStorage):
    """Rewrites ``import … from "./part.js"`` too, so that every module may be cached for ever."""

    support_js_module_import_aggregation = True
