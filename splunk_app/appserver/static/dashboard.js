// Splunk Web runs this file on every classic dashboard of the app. Where it does not run the script that a view
// names itself, the script is loaded here; a page that is there already is left alone.
(function () {
    'use strict';
    var left = 30;
    var timer = setInterval(function () {
        var root = document.getElementById('defender-bridge-root');
        var mounted = root !== null && root.hasAttribute('data-mounted');
        left -= 1;
        if (mounted || left < 0) {
            clearInterval(timer);
            return;
        }
        // As long as the view's own script may take to arrive.
        if (root === null || left > 26) {
            return;
        }
        clearInterval(timer);
        var config = window.$C || {};
        var script = document.createElement('script');
        script.setAttribute('data-loader', 'dashboard.js');
        script.src =
            String(config.MRSPARKLE_ROOT_PATH || '').replace(/\/+$/, '') +
            '/' + (config.LOCALE || 'en-US') + '/static/app/defender_bridge/defender_bridge.js';
        document.head.appendChild(script);
    }, 1000);
})();
